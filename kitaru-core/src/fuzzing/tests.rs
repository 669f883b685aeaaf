//! The corpora of `fuzz/`, and mutations of them, run as ordinary tests.
//!
//! `KITARU_MUTATIONS` sets how many mutations each target gets, `KITARU_SEED` repeats one. `KITARU_BLESS=1` writes the seeds
//! that are made here into the corpora, after a change of the format.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::*;
use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::{
    AuditAction, CallFrame, Class, EndFrame, Forgotten, ForkWay, NowFrame, OpenFrame, Opening, Original, OutcomeFrame,
    SettledFrame, Status,
};
use crate::testkit::Testkit;
use crate::value::Key;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

/// The files of a corpus, in the same order on every system.
fn files(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(corpus(target)).expect("a corpus");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file")))
        .collect();
    files.sort();
    files
}

fn order() -> Order {
    let by_name = [("x", State::Open), ("y", State::Paid(7)), ("z", State::Lost { by: "post".into() })];
    Order {
        id: 1 << 40,
        price: 0.5,
        lines: vec![("a".into(), Some(-300)), ("ß".into(), None)],
        by_name: by_name.map(|(name, state)| (name.into(), state)).into(),
        initial: '水',
    }
}

fn tree(depth: u8) -> Tree {
    Tree { leaf: depth, below: (0..depth).map(tree).collect() }
}

/// One of each kind of frame and opening.
fn frame_seeds() -> Vec<Vec<u8>> {
    let args = Arg::write_all(&[Arg { name: "topic".into(), digest: 9, preview: "\"tides\"".into() }]);
    let failed = FailedTryFrame::write_all(&[FailedTryFrame { took_us: 300, pause_ms: 200, error: "no luck".into() }]);
    let call = || CallFrame {
        key: Key(*b"0123456789abcdef"),
        occurrence: 3,
        place: 300,
        number: 2,
        attempt: 1,
        source: u64::MAX,
        checkpoint: "draft",
        label: "intro",
        args: &args,
    };
    let kitaru = br#"["timed_out",["no answer","no time"]]"#;
    let payload = |class, bytes| Payload { class, codec: Codec::Json, shape: 7, bytes };
    let end = || EndFrame {
        status: Status::Failed,
        attempt: 2,
        ended_ms: 1,
        duration_us: 2,
        preview: "",
        payload: payload(Class::Kitaru, kitaru.as_slice()),
    };
    let outcome = |settled, message, class| {
        Frame::Outcome(OutcomeFrame {
            call: call(),
            settled,
            from_memo: !settled,
            sensitive: settled,
            message,
            tries: 4,
            failed: if settled { &failed } else { &[] },
            metadata: if settled { "{\"seen\":1}" } else { "" },
            started_ms: 1_767_225_600_000,
            duration_us: 15,
            preview: "\"x\"",
            payload: payload(class, kitaru.as_slice()),
        })
    };
    let open = |opening| Frame::Open(OpenFrame { call: call(), opening });
    let pause = |awaited: &str| {
        let (failed, awaited) = (failed.clone(), awaited.to_owned());
        Opening::Pause { due_ms: 17, begun_ms: 3, failures: 2, failed, awaited }
    };
    let frames = [
        outcome(true, Some(300), Class::Value),
        outcome(false, None, Class::Kitaru),
        outcome(false, None, Class::Error),
        Frame::Intent(call()),
        open(Opening::Timer { due_ms: 1_767_225_600_000 }),
        open(Opening::Answer { due_ms: 17 }),
        open(Opening::Signal),
        open(pause("")),
        open(pause("model `m`")),
        open(Opening::Execution(ExecutionId::new("report", "job-42").unwrap())),
        Frame::Patched("greeting"),
        Frame::Forgot(Forgotten::This(Seq(300))),
        Frame::Forgot(Forgotten::After(Seq(0))),
        Frame::Settled(SettledFrame { errors: vec![Seq(1), Seq(900)] }),
        Frame::Now(NowFrame { occurrence: 0, unix_ms: 5 }),
        Frame::End(end()),
        Frame::Unwind(end()),
    ];
    frames.iter().map(Frame::write).collect()
}

/// One of each row.
fn row_seeds() -> Vec<Vec<u8>> {
    let execution = ExecutionId::new("report", "job-42").unwrap();
    let header = Header {
        execution: execution.clone(),
        generation: 2,
        created_ms: 3,
        seed: [4; 32],
        version: "2".into(),
        source: 5,
        input_digest: Key([6; 16]),
        input_preview: "topic=\"tides\"".into(),
        input_codec: Codec::Bincode,
        input_shape: 7,
        input: vec![8, 9],
    };
    let unfinished =
        UnfinishedRow { status: Status::Waiting, attempts: 2, updated_ms: 3, wake_ms: 4, tally: Default::default() };
    let payload = Payload { class: Class::Value, codec: Codec::Bincode, shape: 7, bytes: b"x" };
    let memo = MemoRow { recorded_ms: 1, preview: "x", payload };
    let mail = MailRow { sent_ms: 7, name: "paid".into(), json: "{}".into(), wait: None, question: None };
    let wait = WaitRow { due_ms: 2, question: "Pay?".into(), refused: "no".into(), ..WaitRow::default() };
    let original = Original { last: Seq(3), execution: execution.clone(), generation: 2, seed: [4; 32] };
    let fork =
        Lineage { way: ForkWay::Prefix, from: "draft".into(), set: vec!["research".into()], originals: vec![original] };
    let parent = ParentCall { journal: JournalId(300), generation: 2, execution, call: Key([7; 16]) };
    let note = Note { nth: 300, updated_ms: 7, json: "[1]".into() };
    let audit = AuditLine { at_ms: 300, action: AuditAction::Answered, by: "Ada".into(), about: "approval".into() };
    let rows = [
        header.write(),
        unfinished.write(),
        memo.write(),
        mail.write(),
        wait.write(),
        parent.write(),
        note.write(),
        audit.write(),
        fork.write(),
    ];
    rows.into_iter().enumerate().map(|(which, row)| [vec![which as u8], row].concat()).collect()
}

fn value_seeds() -> Vec<Vec<u8>> {
    fn seeds<T: Serialize + DeserializeOwned>(which: u8, value: &T) -> [Vec<u8>; 2] {
        [CodecWish::Bincode, CodecWish::Json].map(|wish| {
            let (encoded, _) = encode(value, wish, LIMIT).expect("it can be encoded");
            [vec![which, encoded.codec as u8], encoded.bytes].concat()
        })
    }
    let by_name: BTreeMap<String, Option<(i64, f32, char)>> =
        [("x".into(), None), ("y".into(), Some((-1, 0.5, 'y')))].into();
    let failed: Result<std::time::Duration, crate::Error> = Err(crate::Error::msg("no paper").context("printing"));
    [
        seeds(0, &order()),
        seeds(1, &vec![tree(3), tree(0)]),
        seeds(2, &by_name),
        seeds(3, &(u128::MAX, -1i16, true, Box::new([1u8, 2, 3]), ())),
        seeds(4, &vec![serde_json::json!({"a": [1, null, "x"]})]),
        seeds(5, &failed),
    ]
    .concat()
}

/// Shapes of every kind, and values of them.
fn shape_seeds() -> Vec<Vec<u8>> {
    fn seed<T: Serialize + DeserializeOwned>(value: &T) -> Vec<u8> {
        let (encoded, _) = encode(value, CodecWish::Bincode, LIMIT).expect("it can be encoded");
        let text = encoded.shape.expect("bincode has a shape").text;
        let length = u16::try_from(text.len()).expect("it is short").to_le_bytes();
        [&length, text.as_bytes(), &encoded.bytes].concat()
    }
    let leaves = ((1u8, 2u16, 3u32, 4u64, 5u128), (-1i8, -2i16, -3i32, -4i64, -5i128), (0.5f32, f64::NAN, true, 'ß'));
    vec![
        seed(&order()),
        seed(&vec![tree(3), tree(0)]),
        seed(&leaves),
        seed(&vec![State::Open, State::Paid(300), State::Lost { by: "x".into() }, State::Paid(1)]),
        seed(&BTreeMap::from([((1u8, [Some(2u8), None, None]), ()), ((1, [None, Some(3), None]), ())])),
        seed(&(Some(Some(())), std::net::IpAddr::from([127, 0, 0, 1]), "x".to_owned(), [(); 0])),
    ]
}

fn answer_seeds() -> Vec<Vec<u8>> {
    let jsons = [
        serde_json::to_string(&order()),
        serde_json::to_string(&[tree(2)]),
        Ok(r#"{"a":[1,-0.5e3,null,"\u00df",{}]}"#.to_owned()),
        Ok("null".to_owned()),
    ];
    let jsons = jsons.into_iter().map(|json| json.expect("it has a JSON form")).enumerate();
    let mail = |json: String| MailRow { sent_ms: 7, name: "paid".into(), json, wait: None, question: None }.write();
    jsons
        .flat_map(|(which, json)| {
            [json.clone().into_bytes(), mail(json)].map(|bytes| [vec![which as u8], bytes].concat())
        })
        .collect()
}

/// The file of a seed that is made here: `made-` and its digest.
fn file(bytes: &[u8]) -> String {
    format!("made-{}", &blake3::hash(bytes).to_hex()[..16])
}

#[test]
fn the_corpora_hold_every_frame_row_value_and_answer_of_this_version() {
    let seeds = [frame_seeds(), row_seeds(), value_seeds(), answer_seeds(), shape_seeds()];
    for ((target, _), seeds) in TARGETS.iter().zip(seeds) {
        if std::env::var_os("KITARU_BLESS").is_some() {
            bless(target, &seeds);
        }
        let files = files(target);
        for seed in &seeds {
            let known = files.iter().any(|(name, bytes)| *name == file(seed) && bytes == seed);
            assert!(known, "fuzz/corpus/{target} lacks {}; write it with KITARU_BLESS=1", file(seed));
        }
    }
}

/// Histories of the flow that replays them: one that has ended, and one that waits.
fn history_seeds() -> Vec<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let histories = runtime.block_on(async {
        let kit = Testkit::new();
        let (job, export) = (("report", "job"), async || kit.kitaru().export(("report", "job")).await.unwrap());
        let handle = kit.start(report().id("job")).await.unwrap();
        kit.advance(Duration::from_secs(60)).await;
        kit.signal(&job, "paid", &3u32).await.unwrap();
        kit.settle().await;
        let waits = export().await;
        kit.answer(&job, "approve", &true).await.unwrap();
        handle.await.unwrap();
        [waits, export().await]
    });
    histories.map(|history| history.to_string().into_bytes()).into()
}

#[test]
fn the_corpus_of_histories_is_of_the_flow_that_replays_it() {
    if std::env::var_os("KITARU_BLESS").is_some() {
        bless("histories", &history_seeds());
    }
    let made = files("histories").into_iter().filter(|(name, _)| name.starts_with("made-"));
    let histories: Vec<History> = made.map(|(_, bytes)| String::from_utf8(bytes).unwrap().parse().unwrap()).collect();
    assert_eq!(histories.len(), 2);
    for history in histories {
        testkit::replay(&history.with_value("research", &[7u32]).unwrap(), report());
    }
}

/// Writes the seeds that are made here into a corpus, and deletes the earlier ones.
fn bless(target: &str, seeds: &[Vec<u8>]) {
    let dir = corpus(target);
    fs::create_dir_all(&dir).unwrap();
    for (name, _) in files(target).iter().filter(|(name, _)| name.starts_with("made-")) {
        fs::remove_file(dir.join(name)).unwrap();
    }
    seeds.iter().for_each(|seed| fs::write(dir.join(file(seed)), seed).unwrap());
}

/// Mutates bytes as a fuzzer does, but without coverage.
fn mutated(mut bytes: Vec<u8>, seed: &mut u64) -> Vec<u8> {
    let mut below = |bound: usize| {
        // Marsaglia, "Xorshift RNGs" (2003).
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        (*seed % bound.max(1) as u64) as usize
    };
    for _ in 0..=below(3) {
        let at = below(bytes.len());
        match below(7) {
            _ if bytes.is_empty() => bytes.push(below(256) as u8),
            0 => bytes[at] ^= 1 << below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, below(256) as u8),
            4 => drop(bytes.remove(at)),
            5 => {
                let part = bytes[at..bytes.len().min(at + 16)].to_vec();
                let to = below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => bytes.splice(at..at, [0xff; 9]).for_each(drop),
        }
    }
    bytes
}

#[test]
fn corpora_and_their_mutations_never_panic_and_read_back_unchanged() {
    let mutations = std::env::var("KITARU_MUTATIONS").map_or(30_000, |count| count.parse().expect("a number"));
    let first: u64 = std::env::var("KITARU_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    for (target, run) in TARGETS {
        let files = files(target);
        files.iter().for_each(|(_, bytes)| run(bytes));
        // Each history is replayed on a runtime of its own.
        let mutations = if target == "histories" { u64::div_ceil(mutations, 10) } else { mutations };
        for number in first..first + mutations {
            let (name, bytes) = &files[number as usize % files.len()];
            let mut seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let bytes = mutated(bytes.clone(), &mut seed);
            if catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_err() {
                panic!("{target}, a mutation of {name}: KITARU_SEED={number} KITARU_MUTATIONS=1: {bytes:02x?}");
            }
        }
    }
}
