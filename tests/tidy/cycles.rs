//! Circles of files that know each other. Owns the rule; must not know the exceptions.
//!
//! The rule: a module may depend on another only if that one does not depend on it. The check takes each module that has
//! modules below it: its own file, and each of those modules with all modules below it. A module depends on the file that
//! *defines* a name that it mentions, by `use` or by a path. A re-export leads through to the definition. A re-export
//! (`pub use`) does not use the name, unless the file also mentions it elsewhere. Declaring a module does not use it either.
//! `use a::*` depends on the file of `a`. Tests within a crate depend on the modules that they test, which does not make a
//! circle; tests of one folder are checked like any other files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::names::{Import, Mention, Names};

#[derive(Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The folder in which they are.
    pub folder: String,
    /// The file that the folder belongs to is `self`.
    pub members: Vec<String>,
    /// One way around, with a name for each step.
    pub way: String,
}

/// The circles of one crate. `files` are its files, by their paths in the folder of its root.
pub fn cycles(files: &[(&str, &str)]) -> Vec<Cycle> {
    let tree = Tree { modules: files.iter().map(|(path, text)| (module(path), Names::of(text))).collect() };
    // By the module that has both: which module depends on which one, and by which name.
    let mut folders: BTreeMap<Path, BTreeMap<String, BTreeMap<String, String>>> = BTreeMap::new();
    for (from, names) in &tree.modules {
        for (to, name) in tree.known(from, names) {
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if from[common..].iter().any(|part| part == "tests" || part.ends_with("_tests")) {
                continue;
            }
            let part = |path: &Path| path.get(common).cloned().unwrap_or_else(|| "self".into());
            let folder = folders.entry(from[..common].to_vec()).or_default();
            folder.entry(part(from)).or_default().entry(part(&to)).or_insert(name);
        }
    }
    folders.iter().flat_map(|(folder, known)| circles(&folder.join("/"), known)).collect()
}

type Path = Vec<String>;

fn module(file: &str) -> Path {
    let mut path: Path = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    path.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
    path
}

/// The modules of a crate that have a file, by their paths from its root.
struct Tree {
    modules: BTreeMap<Path, Names>,
}

impl Tree {
    /// The modules that this one depends on, each with a name that causes it.
    fn known(&self, module: &Path, names: &Names) -> BTreeMap<Path, String> {
        let mut known = BTreeMap::new();
        let imports = names.imports.iter().filter(|import| self.is_use(module, names, import));
        for mention in imports.map(|import| &import.mention).chain(&names.mentions) {
            let path = self.absolute(module, mention, &mut BTreeSet::new());
            let Some(home) = path.and_then(|path| self.home(&path, &mut BTreeSet::new())) else { continue };
            if home != *module {
                known.entry(home).or_insert_with(|| mention.path.join("::"));
            }
        }
        known
    }

    fn is_use(&self, module: &Path, names: &Names, import: &Import) -> bool {
        if !import.is_shown {
            return true;
        }
        if import.bound != "*" {
            return names.words.contains(&import.bound);
        }
        let path = self.absolute(module, &import.mention, &mut BTreeSet::new());
        let home = path.and_then(|path| self.modules.get(&path[..path.len() - 1]));
        home.is_some_and(|home| !home.defined.is_disjoint(&names.words))
    }

    /// The same path from the root of the crate; `None` if it leads into another crate.
    fn absolute(&self, module: &Path, mention: &Mention, seen: &mut BTreeSet<(Path, String)>) -> Option<Path> {
        let mut inner = mention.inner;
        let mut rest = &mention.path[..];
        let mut path = match rest.first()?.as_str() {
            "crate" => Path::new(),
            "self" | "super" => module.clone(),
            child if self.modules.contains_key(&join(module, child)) => module.clone(),
            other => {
                // A module that was imported.
                let path = self.bound(module, other, seen)?;
                return Some([path, rest[1..].to_vec()].concat());
            }
        };
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" | "self" => {}
                "super" if inner > 0 => inner -= 1,
                "super" => drop(path.pop()?),
                _ => break,
            }
            rest = others;
        }
        path.extend_from_slice(rest);
        Some(path)
    }

    /// The import of a module by this name, as a path from the root.
    fn bound(&self, module: &Path, name: &str, seen: &mut BTreeSet<(Path, String)>) -> Option<Path> {
        if !seen.insert((module.clone(), name.to_owned())) {
            return None;
        }
        let imports = &self.modules.get(module)?.imports;
        let of_name = imports.iter().filter(|import| import.bound == name && import.mention.path.len() > 1);
        of_name.into_iter().find_map(|import| self.absolute(module, &import.mention, seen))
    }

    /// The module in whose file the item at a path is defined. `None` for a module itself, and for items of another crate.
    fn home(&self, path: &[String], seen: &mut BTreeSet<(Path, String)>) -> Option<Path> {
        let depth = (0..=path.len()).rev().find(|depth| self.modules.contains_key(&path[..*depth]))?;
        let module = path[..depth].to_vec();
        let (name, rest) = path[depth..].split_first()?;
        let names = &self.modules[&module];
        if name == "*" || names.defined.contains(name) {
            return Some(module);
        }
        // Its file is elsewhere, and shared with other modules.
        if names.declared.contains(name) {
            return None;
        }
        let imports = &names.imports;
        if imports.iter().any(|import| import.bound == *name) {
            let path = self.bound(&module, name, seen)?;
            return self.home(&[path, rest.to_vec()].concat(), seen);
        }
        let globs = imports.iter().filter(|import| import.bound == "*");
        let passed_on = globs.into_iter().find_map(|glob| {
            let mut glob = self.absolute(&module, &glob.mention, seen)?;
            glob.pop();
            let knows = self.modules.get(&glob)?;
            let has = knows.defined.contains(name) || knows.imports.iter().any(|import| import.bound == *name);
            has.then(|| self.home(&join(&glob, name), seen)).flatten()
        });
        // An item that a macro defines is not visible here, and counts as the module's own.
        passed_on.or(Some(module))
    }
}

fn join(path: &[String], name: &str) -> Path {
    [path, &[name.to_owned()]].concat()
}

fn circles(folder: &str, known: &BTreeMap<String, BTreeMap<String, String>>) -> Vec<Cycle> {
    let mut found: Vec<Cycle> = Vec::new();
    for from in known.keys() {
        if found.iter().any(|cycle| cycle.members.contains(from)) {
            continue;
        }
        let reached = way(known, from);
        let in_a_circle = |other: &String| reached.contains_key(other) && way(known, other).contains_key(from);
        let members: Vec<String> = known.keys().filter(|other| in_a_circle(other)).cloned().collect();
        if !members.is_empty() {
            found.push(Cycle { folder: folder.to_owned(), members, way: shown(from, known, &reached) });
        }
    }
    found
}

/// The reachable modules, each with its predecessor.
fn way(known: &BTreeMap<String, BTreeMap<String, String>>, from: &str) -> BTreeMap<String, String> {
    let mut reached = BTreeMap::new();
    let mut queue = VecDeque::from([from.to_owned()]);
    while let Some(at) = queue.pop_front() {
        for next in known.get(&at).into_iter().flat_map(BTreeMap::keys) {
            if !reached.contains_key(next) {
                reached.insert(next.clone(), at.clone());
                queue.push_back(next.clone());
            }
        }
    }
    reached
}

fn shown(from: &str, known: &BTreeMap<String, BTreeMap<String, String>>, reached: &BTreeMap<String, String>) -> String {
    let mut shown = from.to_owned();
    let mut at = from;
    loop {
        let before = &reached[at];
        shown = format!("{before} -[{}]-> {shown}", known[before][at]);
        at = before;
        if at == from {
            return shown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cycles;

    /// The circles of these files, each as its folder and its members.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        cycles(files).into_iter().map(|cycle| format!("{}: {}", cycle.folder, cycle.members.join(" "))).collect()
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let a = ("a.rs", "use crate::b::B; pub struct A;");
        assert_eq!(found(&[a, ("b.rs", "use super::a::A; pub struct B;")]), [": a b"]);
        assert_eq!(found(&[a, ("b.rs", "use super::{a::{A as Other}}; pub struct B;")]), [": a b"]);
        assert_eq!(found(&[a, ("b.rs", "pub struct B; fn b() { crate::a::A; }")]), [": a b"]);
        assert_eq!(found(&[a, ("b.rs", "use crate::a; pub struct B; fn b() { a::A; }")]), [": a b"]);
        assert_eq!(found(&[a, ("b.rs", "mod inner { use super::super::a::A; } pub struct B;")]), [": a b"]);
        assert_eq!(found(&[a, ("b.rs", "use crate::a::*; pub struct B;")]), [": a b"]);
        assert_eq!(found(&[a, ("b.rs", "pub struct B;")]), [""; 0]);
    }

    #[test]
    fn a_circle_may_be_long_and_through_folders() {
        let files = [
            ("x/a.rs", "pub use crate::y::b::B; pub struct A; fn a() -> B { B }"),
            ("x/b.rs", "pub struct C;"),
            ("y/b.rs", "use crate::z::Z; pub struct B;"),
            ("z/mod.rs", "use crate::x::b::C; pub struct Z;"),
        ];
        let files = [&files[..], &[("x/mod.rs", ""), ("y.rs", "")]].concat();
        assert_eq!(found(&files), [": x y z"]);
        let way = &cycles(&files)[0].way;
        assert_eq!(way, "x -[crate::y::b::B]-> y -[crate::z::Z]-> z -[crate::x::b::C]-> x");
    }

    #[test]
    fn child_and_parent_that_use_each_others_definitions_are_a_circle() {
        let child = ("p/c.rs", "use super::P; pub struct C;");
        assert_eq!(found(&[("p.rs", "use c::C; pub struct P;"), child]), ["p: c self"]);
        assert_eq!(found(&[("p.rs", "pub use c::C; pub struct P(C);"), child]), ["p: c self"]);
        assert_eq!(found(&[("p.rs", "pub struct P(self::c::C);"), child]), ["p: c self"]);
        assert_eq!(found(&[("p.rs", "pub use c::*; pub struct P(C);"), child]), ["p: c self"]);
    }

    #[test]
    fn declaring_a_child_or_passing_its_names_on_does_not_use_it() {
        let child = ("p/c.rs", "use super::P; pub struct C;");
        assert_eq!(found(&[("p.rs", "mod c; pub(crate) use c::{C, D as E}; pub struct P;"), child]), [""; 0]);
        assert_eq!(found(&[("p.rs", "mod c; pub use c::*; pub struct P;"), child]), [""; 0]);
        let namesake = ("p/c.rs", "use super::P; pub fn c() {}");
        assert_eq!(found(&[("p.rs", "mod c; pub use c::c; pub struct P;"), namesake]), [""; 0]);
    }

    #[test]
    fn a_name_that_is_passed_on_leads_to_where_it_is_defined() {
        let hub = ("p.rs", "pub use a::A; pub use b::*; use std::fmt;");
        let b = ("p/b.rs", "use super::A; pub struct B;");
        assert_eq!(found(&[hub, ("p/a.rs", "use super::fmt; pub struct A;"), b]), [""; 0]);
        assert_eq!(found(&[hub, ("p/a.rs", "use super::B; pub struct A;"), b]), ["p: a b"]);
    }

    #[test]
    fn text_that_is_not_code_and_names_of_another_crate_are_not_uses() {
        let a = ("a.rs", "use crate::b::B; pub struct A<'a>(&'a ());");
        let said = r##"
            //! crate::a::A
            /* use crate::a::A; /* */ use crate::a::A; */
            const SAID: &str = "use crate::a::A; \" crate::a::A";
            const RAW: &str = r#"" crate::a::A "#;
            const QUOTE: (char, char) = ('"', '\'');
            use ::crate_of_others::a::A;
            fn f<'a>() -> impl Sized + use<'a> {}
            pub struct B;
        "##;
        assert_eq!(found(&[a, ("b.rs", said)]), [""; 0]);
        // The same text is read to its end.
        assert_eq!(found(&[a, ("b.rs", &format!("{said} use crate::a::A;"))]), [": a b"]);
    }

    #[test]
    fn module_whose_file_is_elsewhere_is_not_part_of_its_parent() {
        let parent = r#"#[path = "../shared.rs"] mod shared; mod c; fn p() { c::c() }"#;
        assert_eq!(found(&[("p.rs", parent), ("p/c.rs", "use super::shared::S; fn c() {}")]), [""; 0]);
    }

    #[test]
    fn tests_depend_on_the_modules_that_they_test() {
        let a = ("a.rs", "pub struct A;");
        let b = ("b.rs", "use crate::a::A; pub struct B;");
        assert_eq!(found(&[a, b, ("a/tests.rs", "use crate::b::B;")]), [""; 0]);
        let tests = [("a/tests/one.rs", "use super::two::X;"), ("a/tests/two.rs", "use super::one::Y; pub struct X;")];
        assert_eq!(found(&[&[a, b, ("a/tests.rs", "")], &tests[..]].concat()), ["a/tests: one two"]);
    }
}
