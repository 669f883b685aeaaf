//! What a log holds that redb does not: its tail. Owns that nothing is missing from it, and that it is this store's; must not
//! know where its bytes come from.

use memchr::memmem;

use crate::store::Row;
use crate::store::disk::frame::{self, ALIGNED, Frame, MAGIC};
use crate::store::disk::mark::{MOST_COMMITS, Mark};

/// The commits that redb does not have.
#[derive(Debug)]
pub(super) struct Tail {
    /// In their order, with their numbers.
    pub(super) commits: Vec<(u64, Vec<Row>)>,
    /// How far the store has come with them.
    pub(super) mark: Mark,
}

/// Why a log and a redb file do not belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mismatch {
    /// The log is another store's.
    OtherStore,
    /// The log began behind what redb has: the redb file is older, or another segment is.
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
pub(super) fn read(mark: &Mark, segments: [&[u8]; 2]) -> Result<Tail, Mismatch> {
    let mut runs = [run(mark, segments[0])?, run(mark, segments[1])?];
    let newest = |run: &Run<'_>| run.frames.last().map_or(0, |frame| frame.header.sequence);
    runs.sort_by_key(newest);
    let mut tail = Tail { commits: Vec::new(), mark: *mark };
    for frame in runs.iter().flat_map(|run| &run.frames) {
        let (sequence, last) = (frame.header.sequence, tail.mark.sequence);
        if sequence == mark.sequence && frame.hash != mark.hash {
            return Err(Mismatch::Forked { sequence });
        }
        if sequence <= last {
            continue;
        }
        if sequence > last + 1 {
            return Err(Mismatch::Behind { redb: last, log: sequence });
        }
        if frame.header.before != tail.mark.hash {
            return Err(Mismatch::Forked { sequence });
        }
        let rows = frame.rows().ok_or(Mismatch::Damaged { after: last })?;
        tail.commits.push((sequence, rows));
        tail.mark = frame.mark();
    }
    let last = tail.mark.sequence;
    let behind = runs.iter().flat_map(|run| frames_in(run.rest));
    let is_newer = |frame: Frame<'_>| frame.header.epoch == mark.epoch && frame.header.sequence > last;
    match behind.filter(|frame| frame.header.store == mark.store).any(is_newer) {
        true => Err(Mismatch::Damaged { after: last }),
        false => Ok(tail),
    }
}

/// Whether a segment begins with a frame: its store was not closed, or another one has used it.
pub(super) fn is_used(segment: &[u8]) -> bool {
    frame::read(segment).is_some()
}

/// The frames from the start of a segment that follow each other.
struct Run<'a> {
    frames: Vec<Frame<'a>>,
    rest: &'a [u8],
}

fn run<'a>(mark: &Mark, segment: &'a [u8]) -> Result<Run<'a>, Mismatch> {
    let mut run = Run { frames: Vec::new(), rest: segment };
    while let Some(frame) = frame::read(run.rest) {
        let header = frame.header;
        if header.store != mark.store {
            return Err(Mismatch::OtherStore);
        }
        if header.epoch > mark.epoch || header.sequence >= MOST_COMMITS {
            return Err(Mismatch::Behind { redb: mark.sequence, log: header.sequence });
        }
        // What an earlier use of the segment left.
        let follows = |last: &Frame<'_>| (last.header.sequence + 1, last.hash) == (header.sequence, header.before);
        if header.epoch < mark.epoch || !run.frames.last().is_none_or(follows) {
            break;
        }
        run.rest = run.rest.get(frame.bytes..).unwrap_or(&[]);
        run.frames.push(frame);
    }
    Ok(run)
}

/// The whole frames anywhere in these bytes, which begin where a frame may.
fn frames_in(bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let places = memmem::find_iter(bytes, MAGIC);
    places.filter(|at| at.is_multiple_of(ALIGNED)).filter_map(|at| frame::read(&bytes[at..]))
}
