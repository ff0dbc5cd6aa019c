//! Circles of imports between the files of a crate.
//!
//! A file imports another when it names something that is defined there; a re-export is only the way to it. What is compiled
//! for tests alone does not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use syn::{
    Attribute, Item, ItemUse, UseTree, Visibility,
    visit::{self, Visit},
};

/// A module's path within its crate: `["pod", "shape"]`; the root is empty.
type Module = Vec<String>;

/// Folders whose crates must have no circle.
const CHECKED: [&str; 2] = ["services", "shared"];

/// Crates that have circles still, with how many files lie on them. The number may only fall.
const KNOWN: &[(&str, usize)] =
    &[("shared/apiserver", 2), ("shared/bus", 20), ("shared/node", 10), ("shared/template", 31)];

/// Top modules of crates that are built on each other, the lowest first: no file of one names a file of a later one.
const FLOORS: [(&str, &[&str]); 1] = [(
    "shared/engine",
    &["depends", "ops", "pod", "validate", "advise", "state", "workflow", "values", "kinds", "flow"],
)];

/// Complaints about crates whose files import each other in a circle, or against the order of their floors.
pub fn circles(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut looked_at = 0;
    for folder in CHECKED {
        let mut crates: Vec<PathBuf> =
            fs::read_dir(root.join(folder))?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
        crates.sort();
        for path in crates.iter().filter(|path| path.join("Cargo.toml").is_file()) {
            let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
            let source = Source::read(&path.join("src")).with_context(|| format!("read the modules of {name}"))?;
            looked_at += source.modules.len();
            let edges = source.edges();
            let floors = FLOORS.iter().find(|(floors, _)| *floors == name).map_or(&[][..], |(_, floors)| floors);
            found.extend(upward(&edges, floors).into_iter().map(|told| format!("{name}: {told}")));
            let circles = components(&edges);
            let known = KNOWN.iter().find(|(known, _)| *known == name).map_or(0, |(_, files)| *files);
            let files: usize = circles.iter().map(Vec::len).sum();
            if files > known {
                found.extend(
                    circles.iter().map(|circle| format!("{name}: files import each other: {}", told(circle, &edges))),
                );
            } else if files < known {
                found.push(format!("{name}: {files} files lie on circles and {known} are allowed: lower the number"));
            }
        }
    }
    ensure!(looked_at > 100, "only {looked_at} modules were found, which cannot be");
    Ok(found)
}

/// The modules of a crate.
#[derive(Default)]
struct Source {
    modules: BTreeMap<Module, Names>,
}

/// What a module says of other modules.
#[derive(Default)]
struct Names {
    /// Paths that it names, resolved as far as the file alone tells: from the crate's root on.
    paths: BTreeSet<Vec<String>>,
    /// What it takes in by `use`, by the name under which it does, and whether a path begins with that name.
    imports: BTreeMap<String, (Vec<String>, bool)>,
    /// What it passes on, by the name under which it does.
    exports: BTreeMap<String, Vec<String>>,
}

impl Source {
    fn read(src: &Path) -> Result<Self> {
        let mut source = Self::default();
        for root in ["lib.rs", "main.rs"] {
            if src.join(root).is_file() {
                source.file(&src.join(root), src, Module::new())?;
                break;
            }
        }
        Ok(source)
    }

    /// Reads a module; `folder` is where the files of its children lie.
    fn file(&mut self, path: &Path, folder: &Path, module: Module) -> Result<()> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let file = syn::parse_file(&text).with_context(|| format!("parse {}", path.display()))?;
        let mut reader = Reader {
            module: module.clone(),
            inline: Vec::new(),
            children: children(&file.items),
            names: Names::default(),
        };
        reader.visit_file(&file);
        self.modules.insert(module.clone(), reader.names);
        for item in &file.items {
            let Item::Mod(child) = item else { continue };
            if child.content.is_some() || is_for_tests(&child.attrs) {
                continue;
            }
            let name = child.ident.to_string();
            let mut path = module.clone();
            path.push(name.clone());
            let (flat, nested) = (folder.join(format!("{name}.rs")), folder.join(&name));
            let file = if flat.is_file() { flat } else { nested.join("mod.rs") };
            self.file(&file, &nested, path)?;
        }
        Ok(())
    }

    /// Which file names which.
    fn edges(&self) -> BTreeMap<String, BTreeSet<String>> {
        let name = |module: &Module| if module.is_empty() { "lib".to_owned() } else { module.join("/") };
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (module, names) in &self.modules {
            // A module that is taken in to name what it passes on: that is named, and not the module.
            let is_way = |path: &Vec<String>, led_on: bool| led_on && self.modules.contains_key(path);
            let imports = names.imports.values().filter(|(path, led_on)| !is_way(path, *led_on)).map(|(path, _)| path);
            let targets = names
                .paths
                .iter()
                .chain(imports)
                .filter_map(|path| self.home(path, 0))
                .filter(|target| target != module);
            edges.insert(name(module), targets.map(|target| name(&target)).collect());
        }
        edges
    }

    /// The module that defines what `path` names.
    fn home(&self, path: &[String], depth: usize) -> Option<Module> {
        // Re-exports that lead to each other do not compile; a limit all the same.
        if depth > 16 {
            return None;
        }
        let len = (0..=path.len()).rev().find(|len| self.modules.contains_key(&path[..*len]))?;
        let (module, rest) = path.split_at(len);
        let names = &self.modules[module];
        let Some(first) = rest.first() else { return Some(module.to_vec()) };
        if let Some(target) = names.exports.get(first) {
            let further: Vec<String> = target.iter().chain(&rest[1..]).cloned().collect();
            return self.home(&further, depth + 1);
        }
        Some(module.to_vec())
    }
}

fn children(items: &[Item]) -> BTreeSet<String> {
    let name = |item: &Item| match item {
        Item::Mod(child) if child.content.is_none() => Some(child.ident.to_string()),
        _ => None,
    };
    items.iter().filter_map(name).collect()
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    };
    attributes.iter().any(is_test)
}

/// Collects what one file names.
struct Reader {
    module: Module,
    /// Modules within the file that the reader is in.
    inline: Vec<String>,
    children: BTreeSet<String>,
    names: Names,
}

impl Reader {
    /// The path from the crate's root, of one that begins in this crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let first = path.first()?;
        let mut base: Vec<String> = self.module.iter().chain(&self.inline).cloned().collect();
        let rest = match first.as_str() {
            "crate" => {
                base.clear();
                &path[1..]
            }
            "self" => &path[1..],
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                base.truncate(base.len().checked_sub(ups)?);
                &path[ups..]
            }
            child if self.inline.is_empty() && self.children.contains(child) => path,
            _ => return None,
        };
        base.extend(rest.iter().cloned());
        // What lies in a module within the file lies in the file.
        Some(base)
    }

    fn tree(&mut self, tree: &UseTree, before: &mut Vec<String>, exports: bool) {
        match tree {
            UseTree::Path(part) => {
                before.push(part.ident.to_string());
                self.tree(&part.tree, before, exports);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before, exports)),
            UseTree::Glob(_) => self.named(before.clone(), None, exports),
            UseTree::Name(name) => {
                let own = name.ident.to_string();
                let path = before.iter().cloned().chain((own != "self").then(|| own.clone())).collect::<Vec<_>>();
                let own = path.last().cloned();
                self.named(path, own, exports);
            }
            UseTree::Rename(rename) => {
                let mut path = before.clone();
                path.push(rename.ident.to_string());
                self.named(path, Some(rename.rename.to_string()), exports);
            }
        }
    }

    fn named(&mut self, path: Vec<String>, own: Option<String>, exports: bool) {
        let Some(path) = self.absolute(&path) else { return };
        match own {
            Some(own) if !exports => _ = self.names.imports.insert(own, (path, false)),
            None if !exports => _ = self.names.paths.insert(path),
            Some(own) => _ = self.names.exports.insert(own, path),
            None => {}
        }
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_item(&mut self, item: &'a Item) {
        let attributes: &[Attribute] = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            _ => &[],
        };
        if is_for_tests(attributes) {
            return;
        }
        match item {
            Item::Mod(module) if module.content.is_some() => {
                self.inline.push(module.ident.to_string());
                visit::visit_item(self, item);
                self.inline.pop();
            }
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_item_use(&mut self, item: &'a ItemUse) {
        let exports = !matches!(item.vis, Visibility::Inherited) && self.inline.is_empty();
        self.tree(&item.tree, &mut Vec::new(), exports);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if let Some((first, rest)) = parts.split_first().filter(|(_, rest)| !rest.is_empty()) {
            if let Some((module, led_on)) = self.names.imports.get_mut(first) {
                *led_on = true;
                let further = module.iter().chain(rest).cloned().collect();
                self.names.paths.insert(further);
            } else {
                self.named(parts, None, false);
            }
        }
        visit::visit_path(self, path);
    }
}

/// Files that name one of a higher floor.
fn upward(edges: &BTreeMap<String, BTreeSet<String>>, floors: &[&str]) -> Vec<String> {
    let floor = |file: &str| floors.iter().position(|floor| file.split('/').next() == Some(floor));
    let pairs = edges.iter().flat_map(|(from, targets)| targets.iter().map(move |to| (from, to)));
    let up = pairs.filter(|(from, to)| floor(from).zip(floor(to)).is_some_and(|(from, to)| from < to));
    up.map(|(from, to)| format!("{from} names {to}, which is built on it")).collect()
}

/// A circle's files, each with those of the circle that it names.
fn told(circle: &[String], edges: &BTreeMap<String, BTreeSet<String>>) -> String {
    let names =
        |file: &String| circle.iter().filter(|to| edges[file].contains(*to)).cloned().collect::<Vec<_>>().join(" ");
    circle.iter().map(|file| format!("{file} (names {})", names(file))).collect::<Vec<_>>().join(", ")
}

/// Groups of files each of which leads to each other of its group: the strongly connected components, by what each reaches.
fn components(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |from: &String| {
        let mut seen: BTreeSet<&String> = BTreeSet::new();
        let mut open: Vec<&String> = edges[from].iter().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(edges.get(next).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<&String>> = edges.keys().map(|file| (file, reach(file))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, seen) in &reached {
        if seen.contains(file) {
            circles.insert(seen.iter().filter(|other| reached[**other].contains(file)).map(|f| (*f).clone()).collect());
        }
    }
    circles.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles of a crate of such files.
    fn of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("in the folder")).expect("a folder");
            fs::write(path, text).expect("written");
        }
        components(&Source::read(folder.path()).expect("readable").edges())
    }

    #[test]
    fn two_files_that_name_each_other_are_a_circle() {
        let circles = of(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; pub struct A(B);"),
            ("b.rs", "pub struct B; fn f() { let _ = super::c::C; }"),
            ("c.rs", "pub struct C; impl C { fn g(_: &crate::a::A) {} }"),
        ]);
        assert_eq!(circles, [["a", "b", "c"]]);
    }

    #[test]
    fn the_way_through_a_re_export_is_seen_and_is_none_itself() {
        let root = "mod a; mod b; pub use a::A; pub use b::B as Bee;";
        let there = ("a.rs", "use crate::Bee; pub struct A(Bee);");
        assert_eq!(of(&[("lib.rs", root), there, ("b.rs", "pub struct B;")]), [[""; 0]; 0]);
        assert_eq!(of(&[("lib.rs", root), there, ("b.rs", "pub struct B(Box<crate::A>);")]), [["a", "b"]]);
    }

    #[test]
    fn a_child_that_names_its_parent_is_in_a_circle_when_the_parent_names_it() {
        let child = ("p/c.rs", "use super::P; pub fn f(_: P) {}");
        assert_eq!(of(&[("lib.rs", "mod p;"), ("p.rs", "mod c; pub struct P;"), child]), [[""; 0]; 0]);
        assert_eq!(
            of(&[("lib.rs", "mod p;"), ("p.rs", "mod c; pub struct P; fn g() { c::f(P) }"), child]),
            [["p", "p/c"]]
        );
    }

    #[test]
    fn a_module_that_only_passes_on_is_not_what_is_named() {
        let parent = ("p.rs", "mod c; pub use c::C; use crate::user::U; pub fn f(_: U) {}");
        let user = ("user.rs", "use crate::p; pub struct U(p::C);");
        assert_eq!(of(&[("lib.rs", "mod p; mod user;"), parent, user, ("p/c.rs", "pub struct C;")]), [[""; 0]; 0]);
        let user = ("user.rs", "use crate::p; pub struct U; fn g() { p::f(U) }");
        assert_eq!(of(&[("lib.rs", "mod p; mod user;"), parent, user, ("p/c.rs", "pub struct C;")]), [["p", "user"]]);
    }

    #[test]
    fn a_file_of_a_higher_floor_is_not_named_from_below() {
        let name = |from: &str, to: &str| (from.to_owned(), BTreeSet::from([to.to_owned()]));
        let edges =
            BTreeMap::from([name("b/x", "a/y"), name("a/y", "b/z"), name("b/z", "other"), name("other", "b/x")]);
        assert_eq!(upward(&edges, &["a", "b"]), ["a/y names b/z, which is built on it"]);
        assert_eq!(upward(&edges, &[]), [""; 0]);
    }

    #[test]
    fn tests_do_not_count() {
        let a = ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }");
        assert_eq!(of(&[("lib.rs", "mod a; mod b;"), a, ("b.rs", "use crate::a::A; pub struct B(A);")]), [[""; 0]; 0]);
    }
}
