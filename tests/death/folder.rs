//! Where a process finds its store when its current folder and its environment change.

use std::path::Path;
use std::process::Command;

use kitaru::{Error, Kitaru, checkpoint, dynamic, flow};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::process::{self, PROGRAM, STOP, say};

/// Runs one of the programs, if it is one.
pub(crate) async fn program(name: &str) -> Result<bool, Error> {
    match name {
        "moves" => moves().await?,
        "is lost" => say(format!("result {}", doubles(21).await?)),
        _ => return Ok(false),
    }
    Ok(true)
}

#[flow]
async fn doubles(n: u32) -> Result<u32, Error> {
    Ok(2 * n)
}

#[checkpoint]
async fn large(bytes: usize) -> String {
    (0..bytes).map(|n| char::from(b'a' + (n * 7_919 % 26) as u8)).collect()
}

/// Opens a store by a relative path, changes its folder, and meets a disk that is full for a moment.
async fn moves() -> Result<(), Error> {
    let kitaru = Kitaru::builder().dir("home").recovery(kitaru::Recovery::Manual).open().await?;
    doubles(1).id("before").on(&kitaru).await?;
    let file = std::fs::metadata("home/store.redb").expect("the store").len();
    std::env::set_current_dir("elsewhere").expect("it is there");
    let all = getrlimit(Resource::Fsize);
    let limit = |current| setrlimit(Resource::Fsize, Rlimit { current, ..all }).expect("a limit below the highest");
    limit(Some(file));
    let fills = dynamic::flow("fills").run(|| async { Ok::<_, Error>(large(4_000_000).await.len()) });
    say(format!("full {}", fills.on(&kitaru).await.is_err()));
    limit(all.current);
    say(format!("result {}", doubles(2).id("after").on(&kitaru).await?));
    say(format!("known {}", kitaru.execution(("doubles", "before")).await?.is_some()));
    kitaru.close().await
}

async fn ids(dir: &Path) -> Vec<String> {
    let kitaru = Kitaru::builder().dir(dir).recovery(kitaru::Recovery::Manual).open().await.unwrap();
    let ids = kitaru.executions().await.unwrap().iter().map(|summary| summary.id().to_owned()).collect();
    kitaru.close().await.unwrap();
    ids
}

#[tokio::test]
async fn store_opened_by_a_relative_path_stays_in_its_folder_after_a_disk_fault() {
    for is_another_there in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("elsewhere/home");
        std::fs::create_dir(dir.path().join("elsewhere")).unwrap();
        if is_another_there {
            let kitaru = Kitaru::builder().dir(&other).open().await.unwrap();
            doubles(3).id("theirs").on(&kitaru).await.unwrap();
            kitaru.close().await.unwrap();
        }
        // With this, exceeding the limit is an error and not a signal.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "programs::program", "--nocapture"]).env(PROGRAM, "moves").env(STOP, "");
        let (said, code) = process::start(command, dir.path()).end();
        assert_eq!(code, Some(0), "{said:?}");
        for line in ["full true", "result 4", "known true"] {
            assert!(said.iter().any(|said| said == line), "{said:?} lacks {line}");
        }
        let found = ids(&dir.path().join("home")).await;
        assert!(found.contains(&"before".to_owned()) && found.contains(&"after".to_owned()), "{found:?}");
        assert!(if is_another_there { ids(&other).await == ["theirs"] } else { !other.exists() });
    }
}

#[test]
fn an_empty_name_in_the_environment_counts_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = process::command("is lost", "");
    // After the environment that every program here gets.
    command.current_dir(dir.path()).env("KITARU_DIR", "");
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success() && said.contains("result 42"), "{said}");
    let mut left: Vec<_> = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".kitaru", "notes"]);
}
