//! The indexes by which a list finds executions: a filtered list is what the whole list has of it, also after crashes and damage of the store.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use kitaru::testkit::store::Table;
use kitaru::{Clock, Error, ExecutionRef, Kitaru, ListRequest, Recovery, Status, checkpoint, flow};

use crate::faulty::Faulty;
use crate::retention::is_gone;
use crate::support::{Rows, chance, ends, until_it_holds};

/// What those do that fail at first, once they are called again: nothing, if they are not to resume.
static RESUMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn resumes(id: &str) -> bool {
    RESUMES.lock().unwrap().iter().any(|known| known == id)
}

#[checkpoint]
async fn pays(id: String) -> Result<u32, Error> {
    if resumes(&id) { Ok(1) } else { Err(Error::msg("not yet")) }
}

#[checkpoint]
async fn hangs() -> Result<u32, Error> {
    std::future::pending().await
}

/// What an execution does.
async fn does(what: &str, id: &str) -> Result<u32, Error> {
    match what {
        "fails" => Err(Error::msg("it fails")),
        "mends" => pays(id.to_owned()).await,
        // It is driven, and nothing is recorded of that.
        "stalls" if resumes(id) => std::future::pending().await,
        "stalls" => Err(Error::msg("it fails at first")),
        "hangs" => hangs().await,
        "waits" => kitaru::signal::<u32>("word").await,
        "calls" => {
            let call = indexed_job("completes".to_owned(), format!("of-{id}")).id(format!("of-{id}"));
            indexed_job("continues".to_owned(), format!("next-of-{id}")).id(format!("next-of-{id}")).tag("red").await?;
            call.await
        }
        _ => Ok(7),
    }
}

#[flow]
async fn indexed_job(what: String, id: String) -> Result<u32, Error> {
    match &*what {
        "continues" => indexed_job("completes".to_owned(), id).continue_as_new().await,
        what => does(what, &id).await,
    }
}

#[flow]
async fn indexed_note(what: String, id: String) -> Result<u32, Error> {
    does(&what, &id).await
}

const WHAT: [&str; 9] =
    ["completes", "fails", "mends", "stalls", "hangs", "waits", "calls", "continues", "starts later"];
const TAGS: [&str; 3] = ["red", "green", "red and green"];

struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

/// Begins executions of both flows that end, wait, resume and are begun over.
async fn fills(kitaru: &Kitaru, clock: &Clock, seed: &mut Seeded, count: u64) {
    let mut waiting = Vec::new();
    for n in 0..count {
        let (what, run) = (*seed.one(&WHAT), chance());
        let id = format!("{}{n}-{run}", seed.one(&["a", "ab", "b"]));
        let (input, tags) = ((what.to_owned(), id.clone()), seed.below(8));
        macro_rules! begin {
            ($flow:ident) => {{
                let call = || {
                    let call = $flow(input.0.clone(), input.1.clone()).id(&*id);
                    let tagged = TAGS.iter().enumerate().filter(|(nth, _)| tags & 1 << nth != 0);
                    tagged.fold(call, |call, (_, tag)| call.tag(*tag))
                };
                match what {
                    "starts later" => {
                        drop(call().start_at(clock.now() + Duration::from_secs(60)).on(kitaru).start().await.unwrap());
                    }
                    "waits" | "hangs" => drop(call().on(kitaru).start().await.unwrap()),
                    _ => drop(call().on(kitaru).await),
                }
                match (what, seed.below(3)) {
                    ("waits" | "starts later", 0) => kitaru.cancel((stringify!($flow), &*id)).await.unwrap(),
                    ("waits", _) => waiting.push(ExecutionRef::new(stringify!($flow), &*id)),
                    ("mends" | "stalls", 0 | 1) => {
                        RESUMES.lock().unwrap().push(id.clone());
                        let handle = call().on(kitaru).start().await.unwrap();
                        if what == "mends" {
                            handle.await.unwrap();
                        }
                    }
                    ("completes" | "fails", 0) => drop(call().fresh().on(kitaru).await),
                    _ => {}
                }
            }};
        }
        if seed.below(3) == 0 { begin!(indexed_note) } else { begin!(indexed_job) }
    }
    for execution in waiting {
        let waits = async || kitaru.execution(&execution).await.unwrap().unwrap().status() == Status::Waiting;
        ends(until_it_holds(waits)).await;
    }
}

type Found = (String, String, u32);
type One = (Found, Status, Vec<String>);
type Fits = Box<dyn Fn(&One) -> bool>;

/// All pages of a list, and with what each was found.
async fn pages(request: ListRequest, limit: usize) -> Vec<One> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let next = request.clone().limit(limit);
        let page = match after {
            Some(cursor) => next.after(cursor).await.unwrap(),
            None => next.await.unwrap(),
        };
        assert!(page.len() <= limit && page.unreadable().is_empty(), "{page:?}");
        found.extend(page.iter().map(|one| {
            let name = (one.flow().to_owned(), one.id().to_owned(), one.generation());
            (name, one.status(), one.tags().to_vec())
        }));
        after = page.next_cursor();
        if after.is_none() {
            return found;
        }
    }
}

/// A filtered list is what the whole list has of it.
async fn filters_find_what_a_scan_finds(kitaru: &Kitaru, seed: &mut Seeded, filters: usize) {
    let all = pages(kitaru.executions(), 1_000).await;
    let parents: Vec<_> =
        all.iter().filter(|((_, id, _), ..)| all.iter().any(|one| one.0.1 == format!("of-{id}"))).collect();
    let statuses: BTreeSet<u8> = all.iter().map(|(_, status, _)| *status as u8).collect();
    assert!(statuses.len() >= 7 && !parents.is_empty(), "{statuses:?}");
    for _ in 0..filters {
        let (mut request, mut fits): (_, Vec<Fits>) = (kitaru.executions(), Vec::new());
        if seed.below(2) == 0 {
            let flow = *seed.one(&["indexed_job", "indexed_note", "other"]);
            request = request.flow(flow);
            fits.push(Box::new(move |one| one.0.0 == flow));
        }
        if seed.below(2) == 0 {
            let wanted: Vec<_> = (0..=seed.below(3)).map(|_| seed.one(&all).1).collect();
            request = wanted.iter().fold(request, |request, status| request.status(*status));
            fits.push(Box::new(move |one| wanted.contains(&one.1)));
        }
        for _ in 0..seed.below(3) {
            let tag = *seed.one(&TAGS);
            request = request.tag(tag);
            fits.push(Box::new(move |one| one.2.iter().any(|known| known == tag)));
        }
        if seed.below(4) == 0 {
            let (flow, id, _) = seed.one(&parents).0.clone();
            request = request.parent((&*flow, &*id));
            fits.push(Box::new(move |one| one.0.1 == format!("of-{id}") || one.0.1 == format!("next-of-{id}")));
        }
        if seed.below(4) == 0 {
            let id = &seed.one(&all).0.1;
            let prefix = id[..(seed.below(4) as usize).min(id.len())].to_owned();
            request = request.id_prefix(&*prefix);
            fits.push(Box::new(move |one| one.0.1.starts_with(&prefix)));
        }
        let shown = format!("{request:?}");
        let expected: Vec<_> = all.iter().filter(|one| fits.iter().all(|fits| fits(one))).cloned().collect();
        let limit = 1 + seed.below(40) as usize;
        assert_eq!(pages(request, limit).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn filtered_list_is_what_the_whole_list_has_of_it() {
    for nth in 0..4 {
        let mut seed = Seeded(chance().wrapping_add(nth));
        let (rows, clock) = (Rows::default(), Clock::manual());
        let kitaru = rows.process(&clock).0.recovery(Recovery::Manual).open().await.unwrap();
        fills(&kitaru, &clock, &mut seed, 120).await;
        filters_find_what_a_scan_finds(&kitaru, &mut seed, 100).await;
        // Each by the last status that it ended with.
        let mut ended: Vec<_> = rows.keys(Table::Index).into_iter().filter(|key| key[0] == b's').collect();
        let count = ended.len();
        ended.sort_by(|a, b| a[9..].cmp(&b[9..]));
        ended.dedup_by(|a, b| a[9..] == b[9..]);
        assert_eq!(ended.len(), count);
    }
}

/// As many executions as are given their rows in three commits.
async fn many(kitaru: &Kitaru) {
    for chunk in 0..6 {
        let ids = (chunk * 100..(chunk + 1) * 100).map(|n| format!("{n}"));
        let what = |id: &str| if id.ends_with('7') { "fails" } else { "completes" };
        let begun =
            ids.map(|id| indexed_note(what(&id).to_owned(), id.clone()).id(&*id).tag("red").on(kitaru).into_future());
        futures::future::join_all(begun).await;
    }
}

#[tokio::test]
async fn store_without_indexes_is_given_them_while_it_is_open_whenever_its_process_dies() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let mut seed = Seeded(chance());
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.recovery(Recovery::Manual).open().await.unwrap();
    many(&kitaru).await;
    life.dies(kitaru).await;
    let index = rows.keys(Table::Index);
    assert_eq!(index.len(), 600 * 3);

    for commits in 1..=4 {
        rows.forget_indexes();
        let (builder, life) = rows.process(&clock);
        life.ends_after(commits);
        let kitaru = builder.recovery(Recovery::Manual).open().await.unwrap();
        ends(until_it_holds(async || life.has_ended())).await;
        life.dies(kitaru).await;
        assert_eq!(rows.keys(Table::Index).len(), (commits - 1) * 256 * 3 - if commits == 4 { 168 * 3 } else { 0 });

        let kitaru = rows.process(&clock).0.recovery(Recovery::Manual).open().await.unwrap();
        // Complete or not.
        assert_eq!(pages(kitaru.executions().status(Status::Failed), 1_000).await.len(), 60);
        ends(until_it_holds(async || rows.is_indexed())).await;
        assert_eq!(rows.keys(Table::Index), index);
        assert_eq!(
            pages(kitaru.executions().status(Status::Failed).flow("indexed_note").tag("red"), 7).await.len(),
            60
        );
    }

    rows.forget_indexes();
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.recovery(Recovery::Manual).open().await.unwrap();
    fills(&kitaru, &clock, &mut seed, 120).await;
    ends(until_it_holds(async || rows.is_indexed())).await;
    filters_find_what_a_scan_finds(&kitaru, &mut seed, 40).await;
}

#[tokio::test]
async fn damaged_row_of_an_index_hides_nothing() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let kitaru = rows.process(&clock).0.open().await.unwrap();
    for (id, what, tags) in [
        ("0", "completes", &["red", "green"][..]),
        ("1", "completes", &["red"]),
        ("2", "completes", &["red"]),
        ("3", "fails", &["green"]),
    ] {
        let call = indexed_note(what.to_owned(), id.to_owned()).id(id);
        drop(tags.iter().fold(call, |call, tag| call.tag(*tag)).on(&kitaru).await);
    }
    indexed_job("calls".to_owned(), "p".to_owned()).id("p").on(&kitaru).await.unwrap();
    rows.damage(Table::Index);
    let all = || kitaru.executions();
    for (request, expected) in [
        (all().flow("indexed_note"), &["3", "2", "1", "0"][..]),
        (all().tag("red"), &["next-of-p", "next-of-p", "2", "1", "0"]),
        (all().tag("red").tag("green"), &["0"]),
        (all().status(Status::Failed), &["3"]),
        (all().parent(("indexed_job", "p")), &["of-p", "next-of-p", "next-of-p"]),
        (all().status(Status::Completed).flow("indexed_note").tag("red"), &["2", "1", "0"]),
    ] {
        let shown = format!("{request:?}");
        let found: Vec<_> = pages(request, 2).await.into_iter().map(|one| one.0.1).collect();
        assert_eq!(found, expected, "{shown}");
    }
}

#[tokio::test]
async fn deletion_leaves_no_row_of_an_index() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.recovery(Recovery::Manual).open().await.unwrap();
    let run = chance();
    let ids = ["mends", "fails", "calls", "continues", "waits"].map(|what| (what, format!("{what}-{run}")));
    for (what, id) in &ids {
        let call = || indexed_job((*what).to_owned(), id.clone()).id(&**id).tag("red").tag("green");
        match *what {
            "waits" => {
                drop(call().on(&kitaru).start().await.unwrap());
                kitaru.cancel(("indexed_job", &**id)).await.unwrap();
            }
            "mends" => {
                call().on(&kitaru).await.unwrap_err();
                RESUMES.lock().unwrap().push(id.clone());
                call().on(&kitaru).await.unwrap();
            }
            // The one that failed goes with the one that is begun over it.
            "fails" => {
                call().on(&kitaru).await.unwrap_err();
                indexed_job("completes".to_owned(), id.clone()).id(&**id).fresh().on(&kitaru).await.unwrap();
            }
            _ => drop(call().on(&kitaru).await.unwrap()),
        }
    }
    life.dies(kitaru).await;
    assert!(rows.keys(Table::Index).len() > 20);
    // Deletion waits for the rows that a store lacks.
    rows.forget_indexes();
    clock.advance(8 * DAY);
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.recovery(Recovery::Manual).retention(7 * DAY).open().await.unwrap();
    for (_, id) in &ids {
        assert!(is_gone(&kitaru, &clock, "indexed_job", id).await);
    }
    ends(until_it_holds(async || rows.keys(Table::Execution).is_empty())).await;
    assert!(rows.keys(Table::Index).is_empty());
}

#[tokio::test]
async fn execution_that_ends_while_a_list_is_made_is_on_it() {
    let store = Faulty::new(-1, false);
    let kitaru = kitaru::testkit::store::builder(store.clone()).clock(Clock::manual()).open().await.unwrap();
    let handle = indexed_note("waits".to_owned(), "job".to_owned()).id("job").on(&kitaru).start().await.unwrap();
    let status = async || kitaru.execution(("indexed_note", "job")).await.unwrap().unwrap().status();
    ends(until_it_holds(async || status().await == Status::Waiting)).await;
    store.gate.shut(Table::Index);
    let request = kitaru.executions().status(Status::Completed).status(Status::Waiting);
    let listed = tokio::spawn(request.into_future());
    ends(store.gate.until_arrived(1)).await;
    kitaru.signal(&handle, "word", &1u32).await.unwrap();
    ends(handle).await.unwrap();
    store.gate.open();
    let page = ends(listed).await.unwrap().unwrap();
    assert_eq!((page.len(), page[0].status()), (1, Status::Completed), "it fitted all the time");
}
