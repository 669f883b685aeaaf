//! What a flow shows while it runs: values under names. Owns which of them are on their way to the store, and which a
//! replay shows again; must not know the readers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use crate::error::{Error, Kind, cannot};
use crate::journal::{Note, NoteKind};
use crate::runtime::lock;
use crate::shown::short;

/// The most names under which one execution may show values.
pub(crate) const MOST_NAMES: usize = 1_000;

/// The values of one attempt.
#[derive(Default)]
pub(crate) struct Notes(Mutex<State>);

#[derive(Default)]
struct State {
    /// How often the flow wrote under a name in this attempt, and how often earlier attempts did.
    said: HashMap<NoteName, NoteCount>,
    /// Not on their way yet. The latest value under each name.
    pending: BTreeMap<NoteName, Note>,
}

type NoteName = (NoteKind, String);

#[derive(Clone, Copy, Default)]
struct NoteCount {
    now: u64,
    /// The count that is in the store, or on its way there.
    before: u64,
}

impl Notes {
    /// `stored` are the counts of earlier attempts.
    pub(crate) fn new(stored: Vec<(NoteKind, String, u64)>) -> Self {
        let said = stored.into_iter().map(|(kind, name, before)| ((kind, name), NoteCount { now: 0, before }));
        Notes(Mutex::new(State { said: said.collect(), pending: BTreeMap::new() }))
    }

    /// The flow shows a value. Returns whether it is new: a replay does not repeat what an earlier attempt showed,
    /// because a later value may have replaced it.
    ///
    /// # Errors
    ///
    /// If there are too many names.
    pub(crate) fn say(&self, kind: NoteKind, name: &str, note: Note) -> Result<bool, Error> {
        let mut state = lock(&self.0);
        let name = state.name(kind, name)?;
        let said = state.said.entry(name.clone()).or_default();
        said.now += 1;
        let nth = said.now;
        if nth <= said.before {
            return Ok(false);
        }
        state.pending.insert(name, Note { nth, ..note });
        Ok(true)
    }

    /// A body shows a value. It is always new, because bodies are not replayed.
    pub(crate) fn say_at_once(&self, kind: NoteKind, name: &str, note: Note) -> Result<Note, Error> {
        let mut state = lock(&self.0);
        let name = state.name(kind, name)?;
        let said = *state.said.entry(name.clone()).or_default();
        // A value that the flow showed earlier must not replace it.
        state.pending.remove(&name);
        Ok(Note { nth: said.now.max(said.before), ..note })
    }

    /// The values to send to the store.
    pub(crate) fn take(&self) -> impl Iterator<Item = (NoteKind, String, Note)> {
        let mut state = lock(&self.0);
        let pending = std::mem::take(&mut state.pending);
        for (name, note) in &pending {
            state.said.entry(name.clone()).or_default().before = note.nth;
        }
        pending.into_iter().map(|((kind, name), note)| (kind, name, note))
    }

    /// The same, for the next attempt to show again.
    pub(crate) fn take_back(&self) -> impl Iterator<Item = (NoteKind, String, Note)> {
        let mut state = lock(&self.0);
        let pending = std::mem::take(&mut state.pending);
        let State { said, .. } = &*state;
        let shown: Vec<_> = pending
            .into_iter()
            .map(|(name, note)| {
                let nth = said.get(&name).map_or(0, |said| said.before);
                (name.0, name.1, Note { nth, ..note })
            })
            .collect();
        shown.into_iter()
    }
}

impl State {
    fn name(&self, kind: NoteKind, name: &str) -> Result<NoteName, Error> {
        let key = (kind, name.to_owned());
        if self.said.len() >= MOST_NAMES && !self.said.contains_key(&key) {
            return Err({
                let (name, nth) = (short(name), MOST_NAMES + 1);
                cannot!(Kind::TooLarge, "show `{name}`", "it is the {nth}th name of this execution", "use fewer names")
            });
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(json: &str) -> Note {
        Note { nth: 0, updated_ms: 7, json: json.into() }
    }

    #[test]
    fn a_replay_says_only_what_was_not_said_before() {
        let notes = Notes::new(vec![(NoteKind::Published, "progress".into(), 2)]);
        let say = |json| notes.say(NoteKind::Published, "progress", note(json)).unwrap();
        assert_eq!((say("1"), say("2"), say("3"), say("4")), (false, false, true, true));
        let pending: Vec<_> = notes.take().map(|(_, _, note)| (note.nth, note.json)).collect();
        assert_eq!(pending, [(4, "4".to_owned())], "the latest counts");
        assert_eq!(notes.say_at_once(NoteKind::Published, "progress", note("5")).unwrap().nth, 4);
    }

    #[test]
    fn names_of_shown_values_are_bounded() {
        let notes = Notes::default();
        let say = |name: usize| notes.say(NoteKind::Logged, &name.to_string(), note("0"));
        assert!((0..MOST_NAMES).all(|name| say(name).is_ok()));
        assert!(say(MOST_NAMES).unwrap_err().is_too_large() && say(7).is_ok());
    }
}
