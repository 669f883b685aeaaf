//! A store on a disk that fails or is full for a while: what was acknowledged stays, and jobs resume when the disk works again, in
//! the same process.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use kitaru::testkit::store::{FailingDisk, builder};
use kitaru::{Error, Kitaru, checkpoint, flow};

const JOBS: u64 = 8;
const STEPS: u64 = 12;

/// How often a body ran.
static RAN: AtomicU64 = AtomicU64::new(0);

#[checkpoint]
async fn written(job: u64, n: u64) -> u64 {
    RAN.fetch_add(1, Ordering::SeqCst);
    job * 100 + n
}

#[flow]
async fn writes(job: u64, round: u64) -> Result<u64, Error> {
    let mut sum = round;
    for n in 0..STEPS {
        sum += written(job, n).await;
    }
    Ok(sum)
}

async fn open(disk: &FailingDisk) -> Kitaru {
    builder(disk.open().expect("the disk works")).open().await.expect("the store opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_on_a_failing_disk_resume_in_the_same_process_when_it_works_again() {
    let sum = |job: u64, round: u64| round + STEPS * job * 100 + (0..STEPS).sum::<u64>();
    let disk = FailingDisk::default();
    let kitaru = open(&disk).await;
    let (mut failed, mut ran_twice) = (0, 0);
    // From any write on: of the log, of redb while it catches up, and while a failed log is ended.
    for round in 0..120 {
        let kind = [ErrorKind::StorageFull, ErrorKind::Other][(round % 2) as usize];
        let before = RAN.load(Ordering::SeqCst);
        disk.fails_after(round % 40, kind);
        let first = join_all((0..JOBS).map(|job| writes(job, round).on(&kitaru))).await;
        for (job, came) in (0..).zip(first) {
            match came {
                Ok(came) => assert_eq!(came, sum(job, round)),
                Err(error) => {
                    assert!(error.is_store(), "round {round}: {error:#}");
                    assert!(
                        kind == ErrorKind::Other || error.is_storage_full() || failed > 0,
                        "round {round}: {error:#}"
                    );
                    failed += 1;
                }
            }
        }
        disk.heals();
        for (job, came) in (0..).zip(join_all((0..JOBS).map(|job| writes(job, round).on(&kitaru))).await) {
            assert_eq!(came.unwrap_or_else(|error| panic!("round {round}: {error:#}")), sum(job, round));
        }
        // Only a body whose outcome found no room runs again.
        let ran = RAN.load(Ordering::SeqCst) - before;
        assert!((JOBS * STEPS..=JOBS * (STEPS + 1)).contains(&ran), "round {round}: {ran} bodies");
        ran_twice += ran - JOBS * STEPS;
    }
    assert!(failed > 100 && ran_twice > 20, "{failed} calls failed, {ran_twice} bodies ran twice");
    // A process that is killed then leaves all of it.
    let left = open(&disk.after_a_kill()).await;
    kitaru.close().await.expect("it closes");
    let before = RAN.load(Ordering::SeqCst);
    for round in 0..120 {
        for job in 0..JOBS {
            assert_eq!(writes(job, round).on(&left).await.expect("its result"), sum(job, round));
        }
    }
    assert_eq!(RAN.load(Ordering::SeqCst), before, "each result is there");
}
