//! The copy of the tree in which the mistakes are. Owns the copy and what is built of it; must not know what a trial is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::list::{self, Mistake, TestName};
use crate::verdict::Verdict;

/// The variable that names the mistake that is switched on.
pub(crate) const VARIABLE: &str = "KITARU_MISTAKE";

/// The default build of cargo: one set of features, so that nothing is built twice.
const WORKSPACE: [&str; 3] = ["--workspace", "--features", "kitaru-agent/mcp"];

/// The expression that is true while a mistake is switched on. It is valid wherever an expression is.
fn switch(mistake: &Mistake) -> String {
    let Mistake { name, .. } = mistake;
    format!(
        "({{ static ON: ::std::sync::OnceLock<bool> = ::std::sync::OnceLock::new(); *ON.get_or_init(|| \
         ::std::env::var({VARIABLE:?}).as_deref() == Ok({name:?})) }})"
    )
}

/// Test programs, by their names: `kitaru-core`, `kitaru::model`.
pub(crate) type Programs = BTreeMap<String, Program>;

/// A test program, and the folder that it runs in.
pub(crate) struct Program {
    pub(crate) file: PathBuf,
    pub(crate) package: PathBuf,
}

pub(crate) struct Workshop {
    root: PathBuf,
    tree: PathBuf,
    target: PathBuf,
}

impl Workshop {
    /// A copy of the tree with all mistakes in it but those of the macros.
    pub(crate) fn new(root: &Path, all: &[Mistake]) -> Result<Self, String> {
        let home = root.join("target/mistakes");
        let workshop = Workshop { root: root.to_owned(), tree: home.join("tree"), target: home.join("target") };
        let planted = list::plant(root, all.iter().filter(|mistake| !mistake.is_of_macros()), switch)?;
        let files = workshop.files()?;
        for file in &files {
            match planted.get(file) {
                Some(text) => workshop.put(file, text.as_bytes())?,
                None => workshop.copy(file)?,
            }
        }
        Ok(workshop)
    }

    /// Builds all test programs of the workspace.
    pub(crate) fn build(&self) -> Result<Programs, String> {
        self.cargo_test(&WORKSPACE)
    }

    /// Builds these test programs alone.
    fn build_some(&self, tests: &[TestName]) -> Result<Programs, String> {
        let mut programs = Programs::new();
        for test in tests {
            let built = match test.program.split_once("::") {
                Some((_, target)) => self.cargo_test(&[&WORKSPACE[..], &["--test", target]].concat()),
                None => self.cargo_test(&["--package", &test.program, "--lib"]),
            };
            programs.extend(built?);
        }
        Ok(programs)
    }

    fn cargo_test(&self, chosen: &[&str]) -> Result<Programs, String> {
        let mut command = Command::new(env!("CARGO"));
        command.arg("test").args(chosen).args(["--no-run", "--message-format", "json"]);
        command
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            // Switched code is seldom beautiful.
            .env("RUSTFLAGS", "-Awarnings")
            .stderr(Stdio::inherit())
            .stdout(Stdio::piped());
        let built = command.output().map_err(|why| format!("cannot run cargo: {why}"))?;
        let said = String::from_utf8_lossy(&built.stdout);
        let messages = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut programs = Programs::new();
        for message in messages {
            if let Some(rendered) = message["message"]["rendered"].as_str().filter(|_| !built.status.success()) {
                eprintln!("{rendered}");
            }
            programs.extend(program(&message));
        }
        if built.status.success() { Ok(programs) } else { Err("the tree with the mistakes does not build".to_owned()) }
    }

    /// Builds the tree with one mistake of the macros in it, tries it, and takes the mistake out again.
    pub(crate) fn with_macros_of(&self, mistake: &Mistake, attempt: impl Fn(&Programs) -> Verdict) -> Verdict {
        let planted = match list::plant(&self.root, [mistake], |_| "true".to_owned()) {
            Ok(planted) => planted,
            Err(why) => return Verdict::Unsound(why),
        };
        let tried = (|| {
            planted.iter().try_for_each(|(file, text)| self.put(file, text.as_bytes()))?;
            Ok(attempt(&self.build_some(&mistake.tests)?))
        })();
        let restored = planted.keys().try_for_each(|file| self.copy(file));
        match (tried, restored) {
            (Ok(verdict), Ok(())) => verdict,
            (Err(why), _) | (_, Err(why)) => Verdict::Unsound(why),
        }
    }

    /// A folder for what the trials print.
    pub(crate) fn scratch(&self) -> &Path {
        &self.target
    }

    /// The files of the tree, as git knows them.
    fn files(&self) -> Result<Vec<String>, String> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root)
            .output()
            .map_err(|why| format!("cannot run git: {why}"))?;
        let files = String::from_utf8_lossy(&listed.stdout);
        Ok(files
            .split('\0')
            .filter(|file| !file.is_empty() && self.root.join(file).is_file())
            .map(str::to_owned)
            .collect())
    }

    fn copy(&self, file: &str) -> Result<(), String> {
        let bytes = fs::read(self.root.join(file)).map_err(|why| format!("cannot read {file}: {why}"))?;
        self.put(file, &bytes)
    }

    /// Writes a file only if its content differs: an untouched file is not built again.
    fn put(&self, file: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.tree.join(file);
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, bytes));
        written.map_err(|why| format!("cannot write {}: {why}", path.display()))
    }
}

/// The test program in a message of cargo.
fn program(message: &serde_json::Value) -> Option<(String, Program)> {
    let file = message["executable"].as_str().filter(|_| message["profile"]["test"] == true)?;
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let package = manifest.parent()?;
    // `path+file:///…/kitaru-core#0.1.0` if the folder has the package's name, otherwise `…#kitaru@0.1.0`.
    let (folder, version) = message["package_id"].as_str()?.split_once('#')?;
    let name = version.split_once('@').map_or_else(|| folder.rsplit('/').next().unwrap_or_default(), |(name, _)| name);
    let target = &message["target"];
    let name = match target["kind"][0].as_str()? {
        "test" => format!("{name}::{}", target["name"].as_str()?),
        "lib" | "proc-macro" => name.to_owned(),
        _ => return None,
    };
    Some((name, Program { file: file.into(), package: package.to_owned() }))
}
