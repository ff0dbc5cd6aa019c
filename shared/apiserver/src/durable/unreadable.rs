//! Objects that no client can read, which a version that checked less has stored. One of them would end the list and the
//! watch of every client, so they are not served; each is kept in a file of its own.

use std::path::Path;

use super::error::OpenError;
use super::files::Restored;
use crate::object::Object;
use crate::validation;
use argosy_private as private;

/// Takes them out of what was read from the directory.
///
/// Errors: one cannot be written down; nothing is lost then.
pub(super) fn set_aside(dir: &Path, objects: &mut Restored) -> Result<(), OpenError> {
    let bad: Vec<_> = objects
        .iter()
        .filter_map(|(place, object)| {
            Some((place.clone(), validation::check_readable(object.kind, None, &object.tree).err()?))
        })
        .collect();
    for (place, why) in bad {
        let Some(object) = objects.remove(&place) else { continue };
        let file = keep(dir, &object)?;
        tracing::error!(
            kind = object.kind.kind,
            object = &*object.key,
            why = why.message,
            file,
            "an object that no client can read is not served any more, and kept in a file"
        );
    }
    Ok(())
}

/// Writes the object down; the name of the file. Its revision is its own, so a second try writes the same.
fn keep(dir: &Path, object: &Object) -> Result<String, OpenError> {
    let name = format!("unreadable-{:020}.json", object.revision);
    private::write(&dir.join(&name), object.tree.to_vec())?;
    Ok(name)
}
