//! Which files `ARCHITECTURE.md` names. Owns the form of its code map and of its walks; must not know which files there are.

use std::collections::BTreeSet;

/// The files, below the folder of the core's sources, that the row of their module does not name.
pub fn unnamed<'a>(page: &str, files: impl Iterator<Item = &'a str>) -> Vec<String> {
    let map = page.split("\n### ").find(|section| section.starts_with("`kitaru-core`")).unwrap_or_default();
    let rows: Vec<_> = map.lines().filter(|line| line.starts_with("| `")).collect();
    let is_named = |file: &str| {
        let path = file.trim_end_matches(".rs");
        let (module, name) = (path.split('/').next().unwrap_or_default(), path.rsplit('/').next().unwrap_or_default());
        let is_of_module = |row: &&&str| row.split('|').nth(1).is_some_and(|cell| words(cell).contains(module));
        matches!(name, "lib" | "mod") || rows.iter().find(is_of_module).is_some_and(|row| words(row).contains(name))
    };
    let unnamed = files.filter(|file| !is_named(file));
    unnamed.map(|file| format!("ARCHITECTURE.md: the row of its module does not name {file}")).collect()
}

/// The words of the quoted names in a text.
fn words(text: &str) -> BTreeSet<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.flat_map(|name| name.split(|c: char| !(c.is_alphanumeric() || c == '_'))).collect()
}

/// The files and modules that the page names, and which do not exist. A module is named with its parent, in lower case; the name
/// behind it may be that of a function.
pub fn lost(page: &str, exists: impl Fn(&str) -> bool, has_function: impl Fn(&str) -> bool) -> Vec<String> {
    let is_lost = |name: &&str| match name.rsplit_once("::") {
        Some((_, last)) => {
            let is_lower = name.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | ':'));
            let path = name.replace("::", "/");
            is_lower && !exists(&format!("{path}.rs")) && !exists(&path) && !has_function(last)
        }
        None => name.ends_with(".rs") && !exists(name),
    };
    let lost = page.split('`').skip(1).step_by(2).filter(is_lost);
    lost.map(|name| format!("ARCHITECTURE.md: {name} does not exist")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A\n\n### `kitaru-core`\n\n| `id`, `map` | names; `policy` |\n| `store` | `disk::frame` |\n\n\
                        ## Walks\n\n1. `id.rs`, then `Id::new`, `map::policy`, `map::decide`\n";

    #[test]
    fn file_is_named_in_the_row_of_its_module_alone() {
        let files = [
            "id.rs",
            "map/mod.rs",
            "map/policy.rs",
            "store/disk/frame.rs",
            "store/policy.rs",
            "value/mod.rs",
            "wire.rs",
        ];
        let unnamed = unnamed(PAGE, files.into_iter());
        let files: Vec<_> = unnamed.iter().filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(files, ["store/policy.rs", "wire.rs"]);
    }

    #[test]
    fn file_or_module_that_the_page_names_exists() {
        let files = ["id.rs", "map/policy.rs", "disk/frame.rs"];
        let lost =
            |files: &[&str], function: &str| lost(PAGE, |file| files.contains(&file), |name| name == function).len();
        assert_eq!((lost(&files, "decide"), lost(&files, "other"), lost(&[], "decide")), (0, 1, 3));
    }
}
