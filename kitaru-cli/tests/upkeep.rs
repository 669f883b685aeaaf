//! The commands for the upkeep of a store, against a store that another process holds, a free one, one whose holder was killed,
//! and one in a folder whose path is too long for a socket.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kitaru::{Kitaru, Recovery, checkpoint, flow, wait};

mod support;

use support::{Holder, done, held, json, out, refused, run, until};

#[checkpoint]
async fn pack(items: u32) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(items != 13, "no luck");
    Ok(vec![7; items as usize])
}

#[flow]
async fn parcel(items: u32) -> anyhow::Result<usize> {
    let packed = pack(items).await?;
    if items == 2 {
        wait::<bool>("approval").question("Ship it?").await?;
    }
    Ok(packed.len())
}

/// The program that holds the store, in a process of its own.
#[test]
fn holder() {
    let Some(dir) = held() else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let kitaru = Kitaru::builder().dir(dir).park_after(Duration::ZERO).open().await.unwrap();
        for (id, items) in [("done", 1), ("waits", 2), ("failed", 13), ("large", 100_000)] {
            // One has failed before, if the process is not the first one.
            let _ = parcel(items).id(id).on(&kitaru).start().await;
        }
        std::future::pending::<()>().await;
    });
}

fn hold(dir: &Path, runtime: &Path) -> Holder {
    Holder::start(dir, &[("XDG_RUNTIME_DIR", runtime.to_str().unwrap())], "the parcels are under way", || {
        let listed = json(&run(dir, &["list", "--json"]));
        let all = listed["executions"].as_array();
        all.is_some_and(|all| all.len() == 4 && all.iter().all(|execution| execution["status"] != "running"))
    })
}

/// A folder, the store in it, and a folder for sockets.
fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (store, runtime) = (dir.path().join("store"), dir.path().join("run"));
    std::fs::create_dir(&runtime).unwrap();
    (dir, store, runtime)
}

#[test]
fn delete_and_gc_say_what_they_delete_and_who_did_is_listed() {
    let (_dir, store, runtime) = places();
    let holder = hold(&store, &runtime);
    assert_eq!(done(&store, &["delete", "done", "--dry-run"]), "would delete parcel/done, which is completed\n");
    assert_eq!(done(&store, &["delete", "done"]), "deleted parcel/done\n");
    refused(&store, &["delete", "done"], 3, "look at `kitaru list`");
    refused(&store, &["delete", "waits"], 2, "cancel it first");
    refused(&store, &["gc"], 2, "the store has no retention");
    let would = done(&store, &["gc", "--older-than", "0s", "--dry-run"]);
    assert!(would.starts_with("would delete 1 execution with 1"), "{would}");
    assert_eq!(done(&store, &["gc", "--older-than", "1d"]), "nothing is old enough to be deleted\n");
    let collected = done(&store, &["gc", "--older-than", "0s"]);
    assert!(collected.starts_with("deleted 1 execution; 1") && collected.contains("kB of the file"), "{collected}");
    let audit = done(&store, &["audit"]);
    assert!(audit.contains("deleted    parcel/done") && audit.contains("collected  generations: 1"), "{audit}");
    done(&store, &["answer", "waits", "yes"]);
    let shown = done(&store, &["show", "waits"]);
    assert!(shown.contains("answered    approval by "), "{shown}");
    drop(holder);

    // Free: this process opens it.
    assert_eq!(done(&store, &["delete", "failed"]), "deleted parcel/failed\n");
    assert_eq!(json(&run(&store, &["audit", "--json"]))["entries"].as_array().unwrap().len(), 3);
    refused(&store, &["gc", "--older-than", "yesterday"], 2, "write a number and a unit");
}

#[test]
fn doctor_looks_at_a_store_that_is_held_one_that_is_free_and_one_that_is_damaged() {
    let (_dir, store, runtime) = places();
    let holder = hold(&store, &runtime);
    let held = done(&store, &["doctor"]);
    for expected in ["format 2, ", "all is well", "1 waiting", "1 failed", "parcel/large", "100."] {
        assert!(held.contains(expected), "{expected}: {held}");
    }
    drop(holder);
    let free = json(&run(&store, &["doctor", "--json"]));
    assert_eq!((&free["is_well"], &free["flows"][0]["generations"]), (&true.into(), &4.into()), "{free}");

    // A bit of the large record. Once the store is closed, its file has it.
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let kitaru = Kitaru::builder().dir(&store).recovery(Recovery::Manual).open().await.unwrap();
        kitaru.close().await.unwrap();
    });
    let path = store.join("store.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(5_000).position(|window| window.iter().all(|byte| *byte == 7)).unwrap();
    bytes[at + 2_500] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let output = run(&store, &["doctor"]);
    let said = format!("{}{}", out(&output), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(1 | 5)) && said.contains("restore"), "{said}");
}

#[test]
fn backup_of_a_held_store_is_restored_by_a_command_and_opens_with_all_it_has() {
    let (dir, store, runtime) = places();
    let holder = hold(&store, &runtime);
    let file = dir.path().join("backup");
    let named = file.to_str().unwrap();
    let written = done(&store, &["backup", named]);
    assert!(written.starts_with(&format!("wrote {named}: ")), "{written}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    refused(&store, &["backup", named], 4, "the file exists");
    refused(&store, &["restore", named], 1, "holds a store");
    drop(holder);
    let free = dir.path().join("free");
    done(&store, &["backup", free.to_str().unwrap(), "--json"]);

    for (nth, file) in [file.as_path(), free.as_path()].into_iter().enumerate() {
        let restored = dir.path().join(format!("restored-{nth}"));
        let said = done(&restored, &["restore", file.to_str().unwrap()]);
        assert!(said.starts_with("restored ") && said.contains("rows to "), "{said}");
        assert!(done(&restored, &["doctor"]).ends_with("all is well\n"));
        let holder = hold(&restored, &runtime);
        done(&restored, &["answer", "waits", "yes"]);
        until("the parcel is shipped", || done(&restored, &["show", "waits"]).contains("parcel/waits  completed"));
        drop(holder);
    }
    let mut cut = std::fs::read(&file).unwrap();
    cut.pop();
    std::fs::write(&file, cut).unwrap();
    let nowhere = dir.path().join("nowhere");
    refused(&nowhere, &["restore", named], 1, "it is cut short; use another one");
    refused(&nowhere, &["list"], 5, "");
    refused(&nowhere, &["restore", "no such file"], 1, "name another file");
}

#[test]
fn import_puts_an_exported_history_into_a_folder_under_its_name() {
    let (dir, store, runtime) = places();
    let holder = hold(&store, &runtime);
    let exported = dir.path().join("exported.json");
    std::fs::write(&exported, done(&store, &["export", "failed"])).unwrap();
    drop(holder);
    let to = dir.path().join("histories");
    let args = ["import", exported.to_str().unwrap(), "--to", to.to_str().unwrap()];
    let file = to.join("parcel-failed-failed.json");
    assert_eq!(done(&store, &args), format!("wrote {}\n", file.display()));
    let history = std::fs::read_to_string(&file).unwrap();
    assert!(history.parse::<kitaru::History>().is_ok());
    refused(&store, &args, 1, "replace it with --force");
    done(&store, &[&args[..], &["--force"]].concat());
    std::fs::write(&exported, "{}").unwrap();
    refused(&store, &args, 1, "cannot read the history");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), history, "what cannot be read replaces nothing");
}

#[test]
fn store_in_a_deep_folder_is_reached_and_left_like_any_other() {
    let (dir, _, runtime) = places();
    let deep = dir.path().join("a".repeat(100)).join("b".repeat(100));
    let holder = hold(&deep, &runtime);
    assert!(!deep.join("control.sock").exists());
    let socket = || std::fs::read_dir(runtime.join("kitaru")).map_or(0, Iterator::count);
    assert_eq!(socket(), 1);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&runtime.join("kitaru")), 0o700);
    let lock = std::fs::read_to_string(deep.join("lock")).unwrap();
    let place = lock.lines().nth(1).unwrap();
    assert!(place.starts_with(runtime.to_str().unwrap()) && mode(Path::new(place)) == 0o600, "{lock}");
    assert_eq!(done(&deep, &["delete", "done"]), "deleted parcel/done\n");
    drop(holder);
    // Killed: its socket is stale.
    assert_eq!((socket(), done(&deep, &["status"])), (1, "no process holds the store\n".to_owned()));
    assert!(done(&deep, &["list"]).contains("parcel/waits"));
    drop(hold(&deep, &runtime));
    assert_eq!(socket(), 1, "the next process takes its place");
}
