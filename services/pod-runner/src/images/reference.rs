//! Names of images. Source: the `reference` grammar of the distribution project; Docker's short names.

/// The registry of names that have none, and the folder of its own images.
const DOCKER: &str = "docker.io";
const LIBRARY: &str = "library";

/// A name of an image, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub registry: String,
    pub repository: String,
    /// A tag or a digest.
    pub version: String,
}

impl Reference {
    /// `None` where it is no name.
    pub fn parse(image: &str) -> Option<Self> {
        let (registry, rest) = match image.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            Some(_) | None => (DOCKER, image),
        };
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        let is_short = registry == DOCKER && !repository.contains('/');
        let repository = if is_short { format!("{LIBRARY}/{repository}") } else { repository.to_owned() };
        let version = digest.or(tag).unwrap_or("latest").to_owned();
        // these become parts of a URL
        let is_plain = |text: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:+".contains(c);
            !text.is_empty()
                && text.chars().all(allowed)
                && text.split('/').all(|part| !part.is_empty() && part != "..")
        };
        let all_plain = [registry, &repository, &version].iter().all(|text| is_plain(text));
        (all_plain && !version.contains('/')).then(|| Self { registry: registry.to_owned(), repository, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (image, registry, repository, version) in [
            ("alpine", "docker.io", "library/alpine", "latest"),
            ("alpine:3.7", "docker.io", "library/alpine", "3.7"),
            ("argoproj/argosay:v2", "docker.io", "argoproj/argosay", "v2"),
            ("quay.io/a/b/c:1", "quay.io", "a/b/c", "1"),
            ("localhost/a", "localhost", "a", "latest"),
            ("127.0.0.1:5000/a:2", "127.0.0.1:5000", "a", "2"),
            ("a.io/b:1@sha256:ff", "a.io", "b", "sha256:ff"),
        ] {
            let expected =
                Reference { registry: registry.into(), repository: repository.into(), version: version.into() };
            assert_eq!(Reference::parse(image), Some(expected), "{image}");
        }
        for bad in ["", "a b", "a/../b", "a.io/", "a?x=1", "a#b", "a@", "a.io//b"] {
            assert_eq!(Reference::parse(bad), None, "{bad}");
        }
    }
}
