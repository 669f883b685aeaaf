//! A scan over the rows in memory and those in redb, as one table. Owns which of them is shown: the newest, and none that was
//! deleted. Must not know which commits are meant.

use std::cmp::Ordering;

use crate::store::disk::database::DEFINITIONS;
use crate::store::disk::overlay::OverlayRows;
use crate::store::{Order, Range, Table, Visit};

use ::redb::ReadTransaction;

/// Shows the rows of a range until `visit` breaks. Of the overlays the newest is first.
pub(super) fn scan(
    transaction: &ReadTransaction,
    (table, range, order): (Table, Range<'_>, Order),
    mut overlays: Vec<OverlayRows<'_>>,
    visit: Visit<'_>,
) -> Result<(), ::redb::Error> {
    let rows = transaction.open_table(DEFINITIONS[table as usize])?;
    let mut rows = rows.range::<&[u8]>(range)?;
    let mut next = move || match order {
        Order::Ascending => rows.next(),
        Order::Descending => rows.next_back(),
    };
    let mut stored = next().transpose()?;
    loop {
        let first = |a: &[u8], b: &[u8]| match order {
            Order::Ascending => a.cmp(b),
            Order::Descending => b.cmp(a),
        };
        // The newest of those that have the first key.
        let mut nearest: Option<(usize, &[u8])> = None;
        for (nth, cursor) in overlays.iter_mut().enumerate() {
            let Some(key) = cursor.peek() else { continue };
            if nearest.is_none_or(|(_, nearest)| first(key, nearest) == Ordering::Less) {
                nearest = Some((nth, key));
            }
        }
        let side = match (&nearest, &stored) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((_, key)), Some((stored, _))) => first(key, stored.value()),
        };
        let Some((nth, _)) = nearest.filter(|_| side != Ordering::Greater) else {
            let Some((key, value)) = &stored else { return Ok(()) };
            if visit(key.value(), value.value()).is_break() {
                return Ok(());
            }
            stored = next().transpose()?;
            continue;
        };
        let Some((key, value)) = overlays[nth].take() else { return Ok(()) };
        // What is older has the same key.
        for older in &mut overlays[nth + 1..] {
            if older.peek() == Some(key.as_bytes()) {
                older.take();
            }
        }
        if side == Ordering::Equal {
            stored = next().transpose()?;
        }
        if let Some(value) = value
            && visit(key.as_bytes(), &value).is_break()
        {
            return Ok(());
        }
    }
}
