//! Executions that change their status while they are read.

use std::time::Duration;

use kitaru::testkit::store::Table;
use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow};

use crate::faulty::Faulty;
use crate::support::{ends, log};

const HOUR: Duration = Duration::from_secs(3_600);

#[checkpoint]
async fn notes(path: &str) -> Result<u32, Error> {
    log(path).say("asks");
    log(path).until("go").await;
    Ok(1)
}

#[flow]
async fn sleeps_and_notes(path: String, ms: u64) -> Result<u32, Error> {
    kitaru::sleep(Duration::from_millis(ms)).await;
    notes(&path).await
}

async fn open(store: &Faulty, clock: &Clock) -> Kitaru {
    kitaru::testkit::store::builder(store.clone())
        .clock(clock.clone())
        .recovery(kitaru::Recovery::Manual)
        .open()
        .await
        .unwrap()
}

#[tokio::test]
async fn status_of_an_execution_that_ends_while_it_is_read_is_not_interrupted() {
    for look in ["execution", "list", "resume"] {
        let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
        let kitaru = open(&store, &clock).await;
        let path = format!("glances: {look}");
        let call = sleeps_and_notes(path.clone(), 0).id("job").on(&kitaru).start().await.unwrap();
        log(&path).until("asks").await;
        // It runs when its row is read, and has ended when memory is checked.
        store.gate.shut(Table::Unfinished);
        let seen = tokio::spawn({
            let kitaru = kitaru.clone();
            async move {
                match look {
                    "execution" => kitaru.execution(("sleeps_and_notes", "job")).await.unwrap().unwrap().status(),
                    "list" => kitaru.executions().await.unwrap()[0].status(),
                    _ => {
                        let error = kitaru.resume(("sleeps_and_notes", "job")).await.unwrap_err();
                        assert!(error.to_string().contains("it has ended"), "{error}");
                        Status::Completed
                    }
                }
            }
        });
        store.gate.until_arrived(1).await;
        log(&path).say("go");
        assert_eq!(ends(call).await.unwrap(), 1);
        store.gate.open();
        assert_eq!(ends(seen).await.unwrap(), Status::Completed, "{look}");
    }
}

#[tokio::test]
async fn handle_to_an_execution_that_is_resumed_while_it_is_read_awaits_it() {
    let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
    let kitaru = open(&store, &clock).await;
    let path = "glances: handle";
    drop(sleeps_and_notes(path.into(), 3_600_000).id("job").on(&kitaru).start().await.unwrap());
    while kitaru.execution(("sleeps_and_notes", "job")).await.unwrap().unwrap().status() != Status::Waiting {
        tokio::task::yield_now().await;
    }
    // It is parked when memory is checked, and runs when its row is read.
    store.gate.shut(Table::Name);
    let handle = tokio::spawn({
        let kitaru = kitaru.clone();
        async move { kitaru.handle::<u32, Error>(("sleeps_and_notes", "job")).await }
    });
    store.gate.until_arrived(1).await;
    clock.advance(HOUR);
    log(path).until("asks").await;
    store.gate.open();
    let handle = ends(handle).await.unwrap().expect("it runs in this process");
    log(path).say("go");
    assert_eq!(ends(handle).await.unwrap(), 1);
}
