//! What a log holds that redb does not: its tail. Owns that nothing is missing from it, and that it is this store's; must not
//! know where its bytes come from.

use memchr::memmem;

use crate::store::Row;
use crate::store::disk::frame::{self, ALIGNED, LogFrame, LogFrameHeader, MAGIC};
use crate::store::disk::mark::{MOST_COMMITS, Mark};

/// The commits that redb does not have.
#[derive(Debug)]
pub(super) struct Tail {
    /// In their order, with their numbers.
    pub(super) commits: Vec<(u64, Vec<Row>)>,
    /// How far the store has come with them.
    pub(super) mark: Mark,
    /// Whether the next commit has left a header, and its rows are torn.
    pub(super) is_torn: bool,
}

/// Why a log and a redb file do not belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LogMismatch {
    /// This segment of the log is another store's.
    OtherStore { segment: usize },
    /// The log continues later than redb and the rest of the log end: one of the files is older.
    Behind { redb: u64, log: u64 },
    /// The log and redb are of copies of one store that went different ways.
    Forked { sequence: u64 },
    /// A commit is damaged, and later ones are there.
    Damaged { after: u64 },
}

/// Reads the segments of a log, of which redb says `mark`.
///
/// A frame that is torn ends the log: its commit was never acknowledged. That it is the last one is checked by looking for
/// whole frames behind it.
pub(super) fn read(mark: &Mark, segments: [&[u8]; 2]) -> Result<Tail, LogMismatch> {
    let mut runs = [run(mark, segments, 0)?, run(mark, segments, 1)?];
    let newest = |run: &FrameRun<'_>| run.frames.last().map_or(0, |frame| frame.header.sequence);
    runs.sort_by_key(newest);
    let mut tail = Tail { commits: Vec::new(), mark: *mark, is_torn: false };
    for frame in runs.iter().flat_map(|run| &run.frames) {
        let (sequence, last) = (frame.header.sequence, tail.mark.sequence);
        if sequence == mark.sequence && frame.hash != mark.hash {
            return Err(LogMismatch::Forked { sequence });
        }
        if sequence <= last {
            continue;
        }
        if sequence > last + 1 {
            return Err(LogMismatch::Behind { redb: last, log: sequence });
        }
        if frame.header.before != tail.mark.hash {
            return Err(LogMismatch::Forked { sequence });
        }
        let rows = frame.rows().ok_or(LogMismatch::Damaged { after: last })?;
        tail.commits.push((sequence, rows));
        tail.mark = frame.mark();
    }
    let last = tail.mark.sequence;
    let is_next =
        |header: LogFrameHeader| (header.store, header.epoch, header.sequence) == (mark.store, mark.epoch, last + 1);
    tail.is_torn = runs.iter().any(|run| LogFrameHeader::read(run.rest).is_some_and(is_next));
    // What redb has counts no more, but the same commit of the same epoch is the same in each copy.
    let is_same = |header: &LogFrameHeader| {
        (header.store, header.epoch, header.sequence) == (mark.store, mark.epoch, mark.sequence)
    };
    let mut same = runs.iter().flat_map(|run| frames_in(run.rest, is_same));
    if same.any(|frame| frame.hash != mark.hash) {
        return Err(LogMismatch::Forked { sequence: mark.sequence });
    }
    // An epoch that has ended holds one commit at most that redb does not have: the one that failed.
    let is_newer = |header: &LogFrameHeader| {
        let beyond = last + u64::from(header.epoch < mark.epoch);
        header.store == mark.store && header.sequence > beyond
    };
    let mut behind = runs.iter().flat_map(|run| frames_in(run.rest, is_newer));
    match behind.next().is_some() {
        true => Err(LogMismatch::Damaged { after: last }),
        false => Ok(tail),
    }
}

/// The frames from the start of a segment that follow each other.
struct FrameRun<'a> {
    frames: Vec<LogFrame<'a>>,
    rest: &'a [u8],
}

fn run<'a>(mark: &Mark, segments: [&'a [u8]; 2], segment: usize) -> Result<FrameRun<'a>, LogMismatch> {
    let mut run = FrameRun { frames: Vec::new(), rest: segments[segment] };
    while let Some(frame) = frame::read(run.rest) {
        let header = frame.header;
        if header.store != mark.store {
            return Err(LogMismatch::OtherStore { segment });
        }
        if header.epoch > mark.epoch || header.sequence >= MOST_COMMITS {
            return Err(LogMismatch::Behind { redb: mark.sequence, log: header.sequence });
        }
        // What an earlier use of the segment left.
        let follows = |last: &LogFrame<'_>| (last.header.sequence + 1, last.hash) == (header.sequence, header.before);
        if header.epoch < mark.epoch || !run.frames.last().is_none_or(follows) {
            break;
        }
        run.rest = run.rest.get(frame.bytes..).unwrap_or(&[]);
        run.frames.push(frame);
    }
    Ok(run)
}

/// The whole frames anywhere in these bytes that are meant, by their headers, and begin where a frame may.
fn frames_in<'a>(bytes: &'a [u8], is_meant: impl Fn(&LogFrameHeader) -> bool) -> impl Iterator<Item = LogFrame<'a>> {
    let places = memmem::find_iter(bytes, MAGIC).filter(|at| at.is_multiple_of(ALIGNED));
    places
        .map(|at| &bytes[at..])
        .filter(move |bytes| LogFrameHeader::read(bytes).is_some_and(|header| is_meant(&header)))
        .filter_map(frame::read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Table;
    use crate::store::disk::frame::FrameBytes;

    const START: Mark = Mark { store: [7; 16], epoch: 3, sequence: 10, hash: 99 };

    /// The frames of so many commits, and where the store is after each.
    fn frames(mut mark: Mark, commits: u64) -> (Vec<Vec<u8>>, Vec<Mark>) {
        (0..commits)
            .map(|n| {
                let row = Row { table: Table::Journal, key: n.to_be_bytes().into(), value: Some(vec![n as u8; 40]) };
                let mut frame = Vec::new();
                let rows = [row];
                mark = frame::write(&mut frame, &mark, FrameBytes::of(&rows).unwrap(), &rows);
                (frame, mark)
            })
            .unzip()
    }

    fn segment(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut segment = frames.concat();
        segment.resize(4_096, 0);
        segment
    }

    fn sequences(mark: &Mark, first: &[u8], second: &[u8]) -> Result<Vec<u64>, LogMismatch> {
        read(mark, [first, second]).map(|tail| tail.commits.iter().map(|(sequence, _)| *sequence).collect())
    }

    #[test]
    fn tail_is_what_redb_lacks_wherever_it_begins() {
        let (frames, marks) = frames(START, 6);
        let (first, second) = (segment(&frames[..4]), segment(&frames[4..]));
        assert_eq!(sequences(&START, &first, &second), Ok(vec![11, 12, 13, 14, 15, 16]));
        assert_eq!(sequences(&START, &second, &first), Ok(vec![11, 12, 13, 14, 15, 16]));
        for (nth, mark) in marks.iter().enumerate() {
            let expected: Vec<u64> = (12 + nth as u64..=16).collect();
            assert_eq!(sequences(mark, &first, &second), Ok(expected), "redb has commit {}", mark.sequence);
        }
        let tail = read(&START, [&first, &second]).unwrap();
        assert_eq!(tail.mark, marks[5]);
    }

    #[test]
    fn earlier_use_of_a_segment_and_an_earlier_epoch_are_passed_over() {
        let (old, marks) = frames(START, 8);
        // The segment was used again from its start, and the frames of before are longer.
        let (new, _) = frames(marks[7], 2);
        let mut mixed = segment(&old);
        let again = new.concat();
        mixed[..again.len()].copy_from_slice(&again);
        assert_eq!(sequences(&marks[7], &mixed, &segment(&[])), Ok(vec![19, 20]));
        // A log that has ended, with the commit that failed at its end.
        assert_eq!(sequences(&marks[7].next_epoch(), &segment(&old), &segment(&[])), Ok(vec![]));
        assert_eq!(sequences(&marks[6].next_epoch(), &segment(&old), &segment(&[])), Ok(vec![]));
        // That of a copy of the store, which continued in that epoch.
        let other = sequences(&marks[5].next_epoch(), &segment(&old), &segment(&[]));
        assert_eq!(other, Err(LogMismatch::Damaged { after: 16 }));
    }

    #[test]
    fn torn_frame_at_the_end_is_not_replayed() {
        let (frames, _) = frames(START, 3);
        let whole = segment(&frames);
        let end = frames.concat().len();
        for cut in [1, 63, 64, 100] {
            let mut torn = whole.clone();
            torn[end - frames[2].len() + cut.min(frames[2].len() - 9)..].fill(0);
            assert_eq!(sequences(&START, &torn, &segment(&[])), Ok(vec![11, 12]), "cut at {cut}");
        }
    }

    #[test]
    fn damaged_frame_before_a_whole_one_is_refused() {
        let (frames, _) = frames(START, 4);
        for damaged in 0..3 {
            let mut segment = segment(&frames);
            let at = frames[..damaged].concat().len();
            segment[at + 70] ^= 1;
            let after = START.sequence + damaged as u64;
            assert_eq!(sequences(&START, &segment, &[]), Err(LogMismatch::Damaged { after }));
        }
    }

    #[test]
    fn log_that_continues_behind_a_gap_is_refused() {
        let (frames, _) = frames(START, 4);
        let behind = Err(LogMismatch::Behind { redb: 10, log: 12 });
        assert_eq!(sequences(&START, &segment(&frames[1..]), &segment(&[])), behind);
        // A segment of the two is an older copy.
        let behind = Err(LogMismatch::Behind { redb: 11, log: 14 });
        assert_eq!(sequences(&START, &segment(&frames[..1]), &segment(&frames[3..])), behind);
        // redb is older than the epoch of its log.
        let older = Mark { epoch: 2, ..START };
        assert_eq!(sequences(&older, &segment(&frames), &[]), Err(LogMismatch::Behind { redb: 10, log: 11 }));
    }

    #[test]
    fn log_of_another_store_is_refused() {
        let (frames, _) = frames(Mark { store: [8; 16], ..START }, 2);
        let (own, theirs) = (segment(&[]), segment(&frames));
        assert_eq!(sequences(&START, &own, &theirs), Err(LogMismatch::OtherStore { segment: 1 }));
        assert_eq!(sequences(&START, &theirs, &own), Err(LogMismatch::OtherStore { segment: 0 }));
    }

    #[test]
    fn log_of_a_copy_that_went_another_way_is_refused() {
        let (_, marks) = frames(START, 3);
        let (theirs, _) = frames(Mark { hash: 98, ..START }, 3);
        for mark in [START, marks[1], marks[2]] {
            let forked = sequences(&mark, &segment(&theirs), &segment(&[]));
            assert!(matches!(forked, Err(LogMismatch::Forked { .. })), "{mark:?}: {forked:?}");
        }
    }

    #[test]
    fn copy_that_went_another_way_is_noticed_in_a_log_that_was_closed() {
        let (_, marks) = frames(START, 3);
        let (mut theirs, _) = frames(Mark { hash: 98, ..START }, 3);
        theirs[0][..64].fill(0);
        for (mark, last) in [(marks[1], 2), (marks[2], 3)] {
            let forked = sequences(&mark, &segment(&theirs[..last]), &segment(&[]));
            assert_eq!(forked, Err(LogMismatch::Forked { sequence: mark.sequence }));
        }
        // Its own log went the same way.
        let (mut own, _) = frames(START, 3);
        own[0][..64].fill(0);
        assert_eq!(sequences(&marks[2], &segment(&own), &segment(&[])), Ok(vec![]));
    }

    #[test]
    fn header_of_the_next_commit_with_torn_rows_is_noticed() {
        let (frames, marks) = frames(START, 3);
        let mut torn = segment(&frames);
        let end = frames.concat().len();
        let is_torn = |mark: &Mark, log: &[u8]| read(mark, [log, &segment(&[])]).unwrap().is_torn;
        assert!(!is_torn(&START, &torn));
        torn[end - 30..].fill(0);
        assert!(is_torn(&START, &torn) && is_torn(&marks[1], &torn));
        assert!(!is_torn(&marks[1].next_epoch(), &torn));
    }

    #[test]
    fn log_with_any_bit_flipped_or_cut_at_any_length_is_refused_or_read_up_to_there() {
        let (frames, marks) = frames(START, 6);
        let whole = [segment(&frames[..3])[..512].to_vec(), segment(&frames[3..])[..512].to_vec()];
        for mark in [START, marks[1], marks[4]] {
            let commits = |log: &[Vec<u8>; 2]| read(&mark, [&log[0], &log[1]]).map(|tail| tail.commits);
            let expected = commits(&whole).unwrap();
            let check = |log: &[Vec<u8>; 2], what: &str| match commits(log) {
                Ok(found) => assert!(expected.starts_with(&found), "{what}: {found:?}"),
                Err(LogMismatch::Damaged { .. } | LogMismatch::Behind { .. }) => {}
                Err(other) => panic!("{what}: {other:?}"),
            };
            for file in [0, 1] {
                for bit in 0..whole[file].len() * 8 {
                    let mut damaged = whole.clone();
                    damaged[file][bit / 8] ^= 1 << (bit % 8);
                    check(&damaged, &format!("bit {bit} of segment {file}"));
                }
                for length in 0..whole[file].len() {
                    let mut damaged = whole.clone();
                    damaged[file].truncate(length);
                    check(&damaged, &format!("segment {file} cut at {length}"));
                }
            }
        }
    }
}
