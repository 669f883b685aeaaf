//! Checks the rules of `ARCHITECTURE.md` and `CONTRIBUTING.md` on the text of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cycles::Cycle;

#[path = "tidy/cycles.rs"]
#[allow(unreachable_pub)]
mod cycles;
#[path = "tidy/map.rs"]
#[allow(unreachable_pub)]
mod map;
#[path = "tidy/messages.rs"]
#[allow(unreachable_pub)]
mod messages;
#[path = "mistakes/list.rs"]
#[allow(dead_code, unreachable_pub)]
mod mistakes;
#[path = "tidy/names.rs"]
#[allow(unreachable_pub)]
mod names;
#[path = "tidy/promises.rs"]
#[allow(unreachable_pub)]
mod promises;
#[path = "tidy/types.rs"]
#[allow(unreachable_pub)]
mod types;
#[path = "tidy/words.rs"]
#[allow(unreachable_pub)]
mod words;

/// The floors of `kitaru-core/src`, the lowest first. A module knows those below it; those of one floor do not know
/// each other.
const FLOORS: [&[&str]; 21] = [
    &["shown"],
    &["entropy", "error", "clock", "pool", "race", "sync"],
    &["id", "map", "value"],
    &["journal"],
    &["machine"],
    &["director", "program"],
    &["store"],
    &["ledger"],
    &["request", "runtime"],
    &["context"],
    &["chance", "log", "publish"],
    &["call"],
    &["flow"],
    &["driver"],
    &["view"],
    &["engine"],
    &["client"],
    &["dynamic", "testkit"],
    &["__private"],
    &["doc_support", "fuzzing"],
    &["lib"],
];

/// A longer file has more than one purpose, or a reason to be long.
const MOST_LINES: usize = 500;

/// Files that are longer, and why.
const LONG: [(&str, &str); 4] = [
    ("tests/tidy.rs", "one test for each rule that can be checked on the text of the code"),
    (
        "kitaru-core/src/call/durable.rs",
        "the stages of a call are one loop, in the order in which it goes through them",
    ),
    ("kitaru-core/src/value/codec/tests.rs", "a table of types, one test for each way to be kept"),
    ("kitaru-core/src/value/showing/tests/random.rs", "a generator of types and values, which recur in each other"),
];

/// Circles of files that are allowed: the folder, the files (`self` is the file of the folder; an empty list allows any circle,
/// here and in the folders below), and why.
const CIRCLES: [(&str, &[&str], &str); 0] = [];

struct Source {
    path: String,
    text: String,
}

/// The text files of the repository below `dir`, by their paths from its root.
fn sources(dir: &str, extension: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(dir)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).expect("a text");
                let path = path.strip_prefix(root).expect("a path below the root").to_string_lossy().into_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "nothing to check in {dir}");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn all_code() -> Vec<Source> {
    let dirs = [
        "src",
        "kitaru-core",
        "kitaru-macros",
        "kitaru-agent",
        "kitaru-rig",
        "kitaru-control",
        "kitaru-cli",
        "kitaru-otel",
        "examples",
        "tests",
        "benches",
        "fuzz",
    ];
    dirs.iter().flat_map(|dir| sources(dir, "rs")).collect()
}

fn refuse(mistakes: Vec<String>) {
    assert!(mistakes.is_empty(), "\n{}\n", mistakes.join("\n"));
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/") || path.starts_with("tests/")
}

/// A module without its tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// The folder of the crate that a file belongs to. Files of one folder that are a crate each count as one crate, with the
/// modules that they share.
fn crate_root(path: &str) -> &Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = Path::new(path).ancestors().skip(1);
    let is_root = |folder: &&Path| {
        let has = |file| root.join(folder).join(file).exists();
        let is_of_crates = ["tests", "benches", "examples", "fuzz_targets"].iter().any(|name| folder.ends_with(name));
        has("lib.rs") || has("main.rs") || is_of_crates && !folder.starts_with("kitaru-core/src")
    };
    folders.find(is_root).unwrap_or_else(|| panic!("{path} is of no crate"))
}

/// The circles of all crates, each with the folder from the root of the repository.
fn all_circles() -> Vec<Cycle> {
    let code = all_code();
    let mut crates: BTreeMap<&Path, Vec<(&str, &str)>> = BTreeMap::new();
    for Source { path, text } in code.iter().filter(|source| !source.path.starts_with("tests/ui/")) {
        let root = crate_root(path);
        let inside = path[root.as_os_str().len()..].trim_start_matches('/');
        crates.entry(root).or_default().push((inside, without_tests(text)));
    }
    let mut circles = Vec::new();
    for (root, files) in crates {
        for cycle in cycles::cycles(&files) {
            let folder = format!("{}/{}", root.display(), cycle.folder).trim_end_matches('/').to_owned();
            circles.push(Cycle { folder, ..cycle });
        }
    }
    circles
}

/// The words after `crate::` in the code, without comments.
fn imported(text: &str) -> BTreeSet<String> {
    let code = without_tests(text).lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|after| after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

#[test]
fn each_module_of_core_knows_only_the_floors_below_it() {
    let mut mistakes = Vec::new();
    for Source { path, text } in sources("kitaru-core/src", "rs") {
        let module = path["kitaru-core/src/".len()..].split(['/', '.']).next().unwrap();
        if is_test(&path) || module == "lib" {
            continue;
        }
        let Some(own) = floor(module) else {
            mistakes.push(format!("{path}: module `{module}` has no floor"));
            continue;
        };
        for other in imported(&text).iter().filter(|other| *other != module) {
            // A name that begins with a capital is re-exported at the root.
            if floor(other).is_none_or(|floor| floor >= own) {
                mistakes.push(format!("{path}: `{module}` knows `crate::{other}`, which is not below it"));
            }
        }
    }
    refuse(mistakes);
}

/// The types of rows that the code names: by their names they end in it.
fn rows(code: &str) -> BTreeSet<String> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let words = lines.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.filter(|word| word.ends_with("Row")).map(str::to_owned).collect()
}

#[test]
fn only_the_ledger_knows_tables_keys_and_rows() {
    let of_stores =
        ["crate::store", "Table::", "aside_key", "aside_range", "generation_key", "journal_key", "name_key"];
    // Code that opens a store names it. Tests and fuzzers write and read rows.
    let homes = ["store/", "ledger/", "journal/", "testkit/", "fuzzing", "client/builder.rs", "lib.rs"];
    let mut mistakes = Vec::new();
    for Source { path, text } in sources("kitaru-core/src", "rs") {
        let own = &path["kitaru-core/src/".len()..];
        if is_test(&path) || homes.iter().any(|home| own.starts_with(home)) {
            continue;
        }
        let code = without_tests(&text);
        let known = of_stores.iter().filter(|word| code.contains(**word)).map(|word| (*word).to_owned());
        mistakes.extend(known.chain(rows(code)).map(|word| format!("{path} knows `{word}`, which is the ledger's")));
    }
    refuse(mistakes);
}

#[test]
fn only_begin_and_claim_give_the_right_to_write() {
    let foreign = ["Tenure::new", "of_changes", "write_last", ".unfinished(", "wake_ms"];
    let mut mistakes = Vec::new();
    for room in ["engine", "context", "client", "call", "view"] {
        for Source { path, text } in sources(&format!("kitaru-core/src/{room}"), "rs") {
            let code = without_tests(&text);
            let named = foreign.iter().filter(|word| !is_test(&path) && code.contains(**word));
            mistakes.extend(named.map(|word| format!("{path} names `{word}`, which is the ledger's")));
        }
    }
    refuse(mistakes);
}

#[test]
fn client_knows_the_engine_and_not_the_ledger() {
    // What the ledger keeps is read by the engine. Only the builder makes a ledger.
    let foreign = ["crate::ledger", "crate::store", "runtime.archive", "runtime.ledger", ".registry"];
    let mut mistakes = Vec::new();
    for Source { path, text } in sources("kitaru-core/src/client", "rs") {
        if path.ends_with("_tests.rs") || path.ends_with("client/builder.rs") {
            continue;
        }
        let code = without_tests(&text);
        let known = foreign.iter().filter(|word| code.contains(**word));
        mistakes.extend(known.map(|word| format!("{path} knows `{word}`, which is the engine's")));
    }
    refuse(mistakes);
}

#[test]
fn the_replay_logic_has_no_runtime_clock_disk_or_chance_in_it() {
    let foreign = ["tokio", "std::time::Instant", "std::time::SystemTime", "std::fs", "getrandom", "async fn", "Mutex"];
    let machine = sources("kitaru-core/src/machine", "rs");
    let mistakes = machine.iter().flat_map(|source| {
        let code = without_tests(&source.text);
        foreign.iter().filter(|word| code.contains(**word)).map(|word| format!("{}: {word}", source.path))
    });
    refuse(mistakes.collect());
}

#[test]
fn a_library_that_may_have_to_be_replaced_is_known_to_one_module() {
    let homes: [(&str, &[&str]); 8] = [
        ("opentelemetry", &["kitaru-otel/"]),
        ("bincode::", &["kitaru-core/src/value/codec.rs", "kitaru-core/src/value/shape/"]),
        ("::redb::", &["kitaru-core/src/store/disk"]),
        (
            "reqwest::",
            &[
                "kitaru-agent/src/http",
                "kitaru-agent/src/openai",
                "kitaru-agent/src/anthropic",
                "kitaru-agent/src/mcp.rs",
            ],
        ),
        ("rmcp::", &["kitaru-agent/src/mcp.rs", "kitaru-control/src/mcp", "kitaru-control/src/stdio.rs"]),
        ("rig_agent::", &["kitaru-rig/"]),
        ("rig_core::", &["kitaru-rig/"]),
        (
            "inventory::",
            &[
                "kitaru-core/src/program/registry.rs",
                "kitaru-core/src/client/companion.rs",
                "kitaru-control/src/serve.rs",
                "kitaru-macros/",
            ],
        ),
    ];
    let mut mistakes = Vec::new();
    for Source { path, text } in all_code().iter().filter(|source| !is_test(&source.path)) {
        for (library, homes) in &homes {
            let used = text.lines().any(|line| line.contains(library) && !line.trim_start().starts_with("//"));
            if used && !homes.iter().any(|home| path.starts_with(home)) {
                mistakes.push(format!("{path} uses {library}…"));
            }
        }
    }
    refuse(mistakes);
}

#[test]
fn the_agent_loop_knows_nothing_of_durability() {
    let mistakes = sources("kitaru-agent/src", "rs").into_iter().filter(|source| {
        let durable = source.path.contains("/durable") || source.path.ends_with("/lib.rs");
        !durable && without_tests(&source.text).contains("kitaru_core")
    });
    refuse(mistakes.map(|source| format!("{} knows kitaru_core", source.path)).collect());
}

#[test]
fn architecture_names_every_file_of_core_and_walks_through_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("a text");
    let sources = sources("kitaru-core/src", "rs");
    let files = sources.iter().map(|source| &*source.path).filter(|path| !is_test(path));
    let unnamed = map::unnamed(&page, files.map(|path| &path["kitaru-core/src/".len()..]));
    let homes =
        ["", "kitaru-core/src", "kitaru-agent/src", "kitaru-macros/src", "kitaru-control/src", "kitaru-cli/src"];
    let all = all_code();
    let lost = map::lost(
        &page,
        |file| homes.iter().any(|home| root.join(home).join(file).exists()),
        |name| all.iter().any(|source| source.text.contains(&format!("fn {name}"))),
    );
    refuse(unnamed.into_iter().chain(lost).collect());
}

#[test]
fn every_module_says_what_it_owns_and_none_is_long() {
    let mut mistakes = Vec::new();
    for Source { path, text } in all_code().iter().filter(|source| !source.path.starts_with("tests/ui/")) {
        if !text.starts_with("//!") {
            mistakes.push(format!("{path} does not open with what it owns, as `//!`"));
        }
        let is_long = text.lines().count() > MOST_LINES;
        let is_excused = LONG.iter().any(|(long, _)| long == path);
        if is_long && !is_excused {
            mistakes.push(format!("{path} has more than {MOST_LINES} lines, and nothing says why"));
        }
        if !is_long && is_excused {
            mistakes.push(format!("{path} has no more than {MOST_LINES} lines, and needs no excuse"));
        }
        let name = Path::new(path).file_stem().unwrap().to_string_lossy().into_owned();
        if ["utils", "util", "helpers", "manager", "common", "misc"].contains(&name.as_str()) {
            mistakes.push(format!("{path}: a name that says nothing"));
        }
    }
    refuse(mistakes);
}

#[test]
fn files_of_a_folder_do_not_know_each_other_in_a_circle() {
    let circles = all_circles();
    let excuses = |excuse: &(&str, &[&str], &str), circle: &Cycle| match excuse.1 {
        [] => Path::new(&circle.folder).starts_with(excuse.0),
        members => circle.folder == excuse.0 && circle.members == members,
    };
    let refused = circles.iter().filter(|circle| !CIRCLES.iter().any(|excuse| excuses(excuse, circle)));
    let refused = refused.map(|Cycle { folder, members, way }| format!("{folder}: {members:?}, as {way}"));
    let idle = CIRCLES.iter().filter(|excuse| !circles.iter().any(|circle| excuses(excuse, circle)));
    let idle = idle.map(|(folder, members, _)| format!("{folder}: {members:?} is not a circle, and needs no excuse"));
    refuse(refused.chain(idle).collect());
}

#[test]
fn type_of_core_that_other_files_can_name_has_a_name_of_its_own() {
    let sources = sources("kitaru-core/src", "rs");
    let code = sources.iter().filter(|source| !is_test(&source.path));
    refuse(types::mistakes(code.map(|source| (&*source.path, without_tests(&source.text)))));
}

#[test]
fn type_is_named_by_a_noun() {
    let crates = ["kitaru-core/src", "kitaru-agent/src", "kitaru-rig/src"];
    let sources = crates.iter().flat_map(|dir| sources(dir, "rs"));
    let found = |source: &Source| {
        types::without_a_noun(&source.text).map(|name| format!("{}: `{name}`", source.path)).collect()
    };
    refuse(sources.flat_map(|source| -> Vec<String> { found(&source) }).collect());
}

#[test]
fn examples_are_not_ignored_and_nothing_is_left_undone() {
    let left = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("db", "g!("), concat!("#[igno", "re")];
    let mut mistakes = Vec::new();
    for Source { path, text } in all_code() {
        for (nth, line) in text.lines().enumerate() {
            let fence = line.trim_start().trim_start_matches(['/', '!', ' ']);
            let ignored = fence.starts_with("```") && fence.contains("ignore");
            if ignored || left.iter().any(|left| line.contains(left)) {
                mistakes.push(format!("{path}:{}: {}", nth + 1, line.trim()));
            }
        }
    }
    refuse(mistakes);
}

/// The documents of the repository.
fn documents() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let others = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md", ".ci/run", "tests/simulation/run"];
    let read =
        |path: &str| Source { path: path.to_owned(), text: fs::read_to_string(root.join(path)).expect("a text") };
    sources("docs", "md").into_iter().chain(others.map(read)).collect()
}

/// The sentences of a sheet of mistakes. The rest quotes code.
fn sentences(sheet: &str) -> String {
    let is_sentence = |line: &&str| line.starts_with("what = ") || line.starts_with('#');
    sheet.split('\n').map(|line| Some(line).filter(is_sentence).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn phrases_of_the_word_list_are_not_used() {
    let itself = "tests/tidy/words.rs";
    let code = all_code().into_iter();
    let code = code.filter(|source| source.path != itself);
    let code = code.map(|Source { path, text }| (path, words::in_code(&text)));
    let pages = documents().into_iter().map(|Source { path, text }| (path, words::in_page(&text)));
    let sheets = sources("tests/mistakes", "toml").into_iter();
    let sheets = sheets.map(|Source { path, text }| (path, words::in_page(&sentences(&text))));
    let manifests = sources("", "toml").into_iter().filter(|source| !source.path.starts_with("tests/mistakes/"));
    let manifests = manifests.map(|Source { path, text }| (path, words::in_page(&text)));
    let mut idle: BTreeSet<_> = words::EXCEPTIONS.iter().map(|(path, phrase, _)| (*path, *phrase)).collect();
    let mut mistakes = Vec::new();
    for (path, found) in code.chain(pages).chain(sheets).chain(manifests) {
        for words::Found { line, phrase, instead, .. } in found {
            match words::EXCEPTIONS.iter().find(|(file, excused, _)| *file == path && *excused == phrase) {
                Some((path, phrase, _)) => drop(idle.remove(&(*path, *phrase))),
                None => mistakes.push(format!("{path}:{line}: \"{phrase}\"; write: {instead}")),
            }
        }
    }
    mistakes
        .extend(idle.iter().map(|(path, phrase)| format!("{path} does not have \"{phrase}\", and needs no excuse")));
    refuse(mistakes);
}

#[test]
fn messages_of_errors_have_the_one_form() {
    let dirs = ["kitaru-core/src", "kitaru-agent/src", "kitaru-rig/src", "src"];
    let code = dirs.iter().flat_map(|dir| sources(dir, "rs")).filter(|source| !is_test(&source.path));
    let mut idle: BTreeSet<_> = messages::EXCEPTIONS.iter().map(|(path, message, _)| (*path, *message)).collect();
    let mut mistakes = Vec::new();
    for Source { path, text } in code {
        let may_quote = messages::QUOTES.iter().any(|(file, _)| *file == path);
        for (line, flaw) in messages::flaws(without_tests(&text), may_quote) {
            let excuse =
                messages::EXCEPTIONS.iter().find(|(file, message, _)| *file == path && flaw.ends_with(message));
            match excuse {
                Some((path, message, _)) => drop(idle.remove(&(*path, *message))),
                None => mistakes.push(format!("{path}:{line}: {flaw}")),
            }
        }
    }
    mistakes
        .extend(idle.iter().map(|(path, message)| format!("{path} does not have \"{message}\", and needs no excuse")));
    refuse(mistakes);
}

#[test]
fn every_promise_of_the_model_names_a_test_that_exists() {
    let code: String = all_code().into_iter().map(|source| source.text).collect();
    let model = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/model.md")).unwrap();
    let mut named = 0;
    let mut mistakes = Vec::new();
    for line in model.lines().filter(|line| line.trim_start().starts_with("✓ ")) {
        for test in line.split('`').skip(1).step_by(2) {
            named += 1;
            // A test, or a file of examples that do not compile.
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(test);
            let exists = if test.contains('/') { file.exists() } else { code.contains(&format!("fn {test}()")) };
            if !exists {
                mistakes.push(format!("docs/model.md names a test that does not exist: {test}"));
            }
        }
    }
    assert!(named > 40, "only {named} tests are named");
    refuse(mistakes);
}

#[test]
fn every_promise_of_the_model_has_a_test() {
    let model = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/model.md")).unwrap();
    let bare = promises::without_a_test(&model);
    refuse(bare.into_iter().map(|promise| format!("docs/model.md: no test is named for: {promise}")).collect());
}

#[test]
fn every_planted_mistake_fits_the_sources_and_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = mistakes::read(root).unwrap();
    let (of_macros, others): (Vec<_>, Vec<_>) = list.iter().partition(|mistake| mistake.is_of_macros());
    // Mistakes of the macros are built one by one, and may share a place.
    let misfits = of_macros.into_iter().map(|mistake| vec![mistake]).chain([others]);
    refuse(misfits.filter_map(|mistakes| mistakes::plant(root, mistakes, |_| String::new()).err()).collect());
    let code: String = all_code().into_iter().map(|source| source.text).collect();
    let named = list.iter().flat_map(|mistake| mistake.tests.iter().map(move |test| (mistake, test)));
    let missing = named.filter(|(_, test)| {
        let function = test.path.rsplit("::").next().unwrap();
        !code.contains(&format!("fn {function}()"))
    });
    refuse(
        missing.map(|(mistake, test)| format!("mistake {} names {test}, which does not exist", mistake.name)).collect(),
    );
}

#[test]
fn examples_name_the_crate_that_users_depend_on() {
    let dirs = [
        "src",
        "kitaru-core/src",
        "kitaru-agent/src",
        "kitaru-macros/src",
        "kitaru-rig/src",
        "kitaru-control/src",
        "kitaru-otel/src",
    ];
    let in_code = dirs.iter().flat_map(|dir| sources(dir, "rs"));
    let pages = sources("docs", "md");
    let mut mistakes = Vec::new();
    for Source { path, text } in in_code.chain(pages) {
        let is_page = path.ends_with(".md");
        for (nth, line) in text.lines().enumerate() {
            let doc = line.trim_start().strip_prefix("///").or_else(|| line.trim_start().strip_prefix("//!"));
            // A line that begins with `# ` is hidden.
            let shown = if is_page { Some(line) } else { doc }.filter(|shown| !shown.trim_start().starts_with("# "));
            let inner = ["kitaru_core::", "kitaru_agent::", "kitaru_macros::"];
            if shown.is_some_and(|shown| inner.iter().any(|inner| shown.contains(inner))) {
                mistakes.push(format!("{path}:{}: {}", nth + 1, line.trim()));
            }
        }
    }
    refuse(mistakes);
}

#[test]
fn links_of_documents_lead_to_files() {
    let mut mistakes = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = sources("docs", "md").into_iter().chain(
        fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == "md"))
            .map(|path| Source {
                text: fs::read_to_string(&path).unwrap(),
                path: path.file_name().unwrap().to_string_lossy().into_owned(),
            }),
    );
    for Source { path, text } in documents {
        let folder: PathBuf = root.join(&path).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|after| after.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") && !folder.join(file).exists() {
                mistakes.push(format!("{path} links to {link}"));
            }
        }
    }
    refuse(mistakes);
}
