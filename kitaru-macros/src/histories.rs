//! A test for each file of a folder. Owns the names of the tests; must not know what a history is.

use std::path::{Path, PathBuf};

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Ident, LitStr};

/// The tests for a pattern such as `"tests/histories/*.json"`, relative to the folder of the package.
pub(crate) fn histories(pattern: &LitStr, package: &Path) -> syn::Result<TokenStream> {
    let refuse = |why: String| syn::Error::new(pattern.span(), why);
    let text = pattern.value();
    let (folder, ending) = match text.rsplit_once("/*") {
        Some((folder, ending)) if !folder.contains('*') && !ending.contains(['*', '/']) => (folder, ending),
        _ => return Err(refuse("expected a folder and an ending, as in \"tests/histories/*.json\"".to_owned())),
    };
    let absolute = package.join(folder);
    let mut files = files(&absolute, ending).map_err(|why| {
        refuse(format!("cannot read {}: {why}; create it, and export a history into it", absolute.display()))
    })?;
    files.sort();
    let mut tests = Vec::new();
    let mut names = Vec::new();
    for file in &files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = Ident::new(&name(&stem), Span::call_site());
        if names.contains(&name) {
            return Err(refuse(format!("two files make a test named `{name}`; rename one of them")));
        }
        let path = file.to_string_lossy().into_owned();
        tests.push(quote! {
            #[test]
            fn #name() {
                // Named here so that the test is rebuilt when the file changes.
                const _: &[u8] = ::core::include_bytes!(#path);
                ::kitaru::testkit::replay_file(#path);
            }
        });
        names.push(name);
    }
    let folder = absolute.to_string_lossy().into_owned();
    let count = files.len();
    Ok(quote! {
        #(#tests)*

        /// Fails if a file was added after this was built, since that file has no test yet.
        #[test]
        fn every_history_has_a_test() {
            let found = ::std::fs::read_dir(#folder).expect("the folder of the histories").filter(|entry| {
                entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(#ending))
            });
            let found = found.count();
            ::core::assert_eq!(
                found, #count,
                "there are other histories in {} than when this test was built; save the file that has `histories!` to \
                 build it again", #folder
            );
        }
    })
}

fn files(folder: &Path, ending: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending)) {
            files.push(path);
        }
    }
    Ok(files)
}

/// A file's name as the name of a function.
fn name(stem: &str) -> String {
    let name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins_well && syn::parse_str::<Ident>(&name).is_ok() { name } else { format!("history_{name}") }
}
