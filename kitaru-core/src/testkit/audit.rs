//! Reads the store whenever its process has crashed: all that was durable, by the code with which the next process reads it.
//! Must not know how the process crashed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::journal::{Class, Forgotten, Frame, call_identity};
use crate::ledger::{Archive, Generation};
use crate::testkit::house::House;
use crate::testkit::invariants::Invariants;
use crate::testkit::shelf::Shelf;
use crate::value::Key;

/// Checks the rows that a process has left, and notes the recorded calls, which must not run again.
pub(super) fn examine(house: &Arc<House>) {
    // A dead process reads nothing.
    house.revive();
    let read = Archive::of(Arc::new(Shelf(house.clone()))).generations();
    let generations = match read {
        Ok(generations) => generations,
        Err(error) => {
            return house.is_broken(format!("the store cannot be read: {error:#}"));
        }
    };
    let recorded: HashSet<Key> = generations.iter().flat_map(of_generation).collect();
    audit(house, &generations, &recorded);
}

/// What must hold of a store's rows whenever its process crashes.
fn audit(house: &House, generations: &[Generation], recorded: &HashSet<Key>) {
    let gone = |seen: &mut Invariants| {
        let gone = seen.standing().filter(|(call, _)| !recorded.contains(call));
        gone.map(|(_, name)| format!("the outcome of `{name}`, which was durable, is gone")).collect::<Vec<_>>()
    };
    house.invariants(gone).into_iter().for_each(|what| house.is_broken(what));
    for generation in generations {
        let (journal, execution) = (&generation.journal, &generation.header.execution);
        // By the number of their record.
        let mut values = HashMap::new();
        for (nth, at) in (1..).zip(journal.indices()) {
            if journal.seq(at).0 != nth {
                house.is_broken(format!("the journal of {execution} has a gap before record {}", journal.seq(at).0));
                break;
            }
            match journal.frame(at) {
                Ok(Frame::Outcome(outcome)) if outcome.payload.class == Class::Value => {
                    if values.insert((outcome.call.key, outcome.call.occurrence), journal.seq(at)).is_some() {
                        house.is_broken(format!("`{}` of {execution} has two values", outcome.call.name()));
                    }
                }
                // A person had it forgotten, so it may appear again.
                Ok(Frame::Forgot(Forgotten::This(this))) => values.retain(|_, seq| *seq != this),
                Ok(Frame::Forgot(Forgotten::After(after))) => values.retain(|_, seq| *seq <= after),
                Ok(_) => {}
                Err(why) => house.is_broken(format!("record {nth} of {execution} cannot be read: {}", why.0)),
            }
        }
    }
}

/// The calls with an outcome in the store: a value, or a settled error.
fn of_generation(generation: &Generation) -> Vec<Key> {
    let (journal, header) = (&generation.journal, &generation.header);
    let mut standing = Vec::new();
    let mut errors = HashMap::new();
    for at in journal.indices() {
        match journal.frame(at) {
            Ok(Frame::Outcome(outcome)) => {
                let call = &outcome.call;
                let identity = call_identity(&header.execution, header.generation, call.key, call.occurrence);
                if outcome.payload.class == Class::Value || outcome.settled {
                    standing.push(identity);
                } else {
                    errors.insert(journal.seq(at), identity);
                }
            }
            Ok(Frame::Settled(settled)) => standing.extend(settled.errors.iter().filter_map(|seq| errors.get(seq))),
            _ => {}
        }
    }
    standing
}
