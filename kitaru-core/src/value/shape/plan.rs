//! A shape read back, by which the parts of a value are found in its bytes. Owns reading a text of the marked form, and
//! merging the shapes in one list. Must not know the encoding, nor how a part is shown.
//!
//! The elements of a list are of one type, so their shapes differ only where the bytes say which of them it is: in an
//! option, in the variant of an enum, in an empty list. All of them together are one plan.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::{DEPTH, OTHER_NAMES, PART, SIGNS};

/// A longer text is not a shape that Kitaru wrote.
pub(in crate::value) const MOST_TEXT: usize = 2 * PART;

/// The most plans while one is made. A text that Kitaru wrote makes fewer than it has bytes.
const MOST_PLANS: usize = 1 << 18;

/// The most plans that are visited to merge several.
const MOST_STEPS: usize = 1 << 22;

/// What is in some bytes.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::value) enum ReadPlan {
    Leaf(Leaf),
    /// It takes no bytes.
    Unit,
    /// The plan of its content, if one was not empty.
    Option(Option<Box<ReadPlan>>),
    /// One after another, each with the number of times in a row, and with their names if they have any.
    Parts(Option<Vec<String>>, Vec<(ReadPlan, u64)>),
    /// Each variant that appeared, by its number: its name, and its content if it has any.
    Enum(BTreeMap<u32, (String, Option<ReadPlan>)>),
    /// The plan of each element, if there was one.
    List(Option<Box<ReadPlan>>),
    Map(Option<Box<(ReadPlan, ReadPlan)>>),
}

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::value) enum Leaf {
    U8,
    U16,
    U32,
    U64,
    U128,
    I8,
    I16,
    I32,
    I64,
    I128,
    F32,
    F64,
    Bool,
    Char,
    Text,
    Bytes,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::value) enum Unplanned {
    /// A part of the shape was cut to a digest.
    Cut,
    /// It is not a shape of the marked form, or the bytes do not say which of its plans applies.
    Unclear,
}

/// What a shape says about a value.
#[derive(Debug)]
pub(in crate::value) struct Planned {
    pub(in crate::value) plan: ReadPlan,
    /// Some of the shapes in a list are missing.
    pub(in crate::value) is_cut: bool,
    /// The variants have names other than these.
    pub(in crate::value) has_other_names: bool,
}

/// Reads the text of a shape.
pub(in crate::value) fn plan(text: &str) -> Result<Planned, Unplanned> {
    if text.len() > MOST_TEXT {
        return Err(Unplanned::Unclear);
    }
    let (rest, has_other_names) = text.strip_suffix(OTHER_NAMES).map_or((text, false), |text| (text, true));
    let mut reading = Reading { rest, depth: 0, left: MOST_PLANS, steps: Cell::new(MOST_STEPS), is_cut: false };
    let plan = reading.shape()?;
    match reading.rest.is_empty() {
        true => Ok(Planned { plan, is_cut: reading.is_cut, has_other_names }),
        false => Err(reading.stop()),
    }
}

struct Reading<'a> {
    rest: &'a str,
    depth: u16,
    /// How many more plans there may be.
    left: usize,
    /// How many more plans may be visited.
    steps: Cell<usize>,
    /// A digest replaces some shapes of a list.
    is_cut: bool,
}

type PlanResult<T> = Result<T, Unplanned>;

impl Reading<'_> {
    /// Why it stops.
    fn stop(&self) -> Unplanned {
        if self.rest.starts_with('#') { Unplanned::Cut } else { Unplanned::Unclear }
    }

    fn takes(&mut self, sign: &str) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, sign: &str) -> PlanResult<()> {
        if self.takes(sign) { Ok(()) } else { Err(self.stop()) }
    }

    fn count(&mut self) -> PlanResult<()> {
        self.left = self.left.checked_sub(1).ok_or(Unplanned::Unclear)?;
        Ok(())
    }

    /// Reads the text after a bracket, one level down.
    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> PlanResult<T>) -> PlanResult<T> {
        // A variant with parts takes two levels of a recorder, and one here.
        if self.depth == DEPTH {
            return Err(Unplanned::Unclear);
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn number(&mut self) -> PlanResult<u64> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = self.rest[..digits].parse().map_err(|_| self.stop())?;
        self.rest = &self.rest[digits..];
        Ok(number)
    }

    /// A name, if there is one.
    fn name(&mut self) -> PlanResult<Option<String>> {
        if self.takes("\\_") {
            return Ok(Some(String::new()));
        }
        let mut name = String::new();
        let mut chars = self.rest.chars();
        loop {
            let rest = chars.as_str();
            match chars.next() {
                Some('\\') => name.push(chars.next().filter(|char| SIGNS.contains(*char)).ok_or(Unplanned::Unclear)?),
                Some(char) if !SIGNS.contains(char) => name.push(char),
                _ => {
                    self.rest = rest;
                    return Ok(Some(name).filter(|name| !name.is_empty()));
                }
            }
        }
    }

    fn shape(&mut self) -> PlanResult<ReadPlan> {
        self.count()?;
        if self.takes("?") {
            let is_empty = self.rest.is_empty() || self.rest.starts_with([',', '|', ')', '>', ']', '}', ':', '*', '!']);
            let inner = if is_empty { None } else { Some(Box::new(self.within(Self::shape)?)) };
            return Ok(ReadPlan::Option(inner));
        }
        if self.takes("()") {
            return Ok(ReadPlan::Unit);
        }
        if self.takes("<") {
            return self.within(Self::tuple);
        }
        if self.takes("[") {
            let element = self.within(|reading| reading.together("]", Self::shape))?;
            return Ok(ReadPlan::List(element.map(Box::new)));
        }
        if self.takes("{") {
            let entry = self.within(|reading| reading.together("}", Self::entry))?;
            return Ok(ReadPlan::Map(entry.and_then(pair)));
        }
        let name = self.name()?.ok_or_else(|| self.stop())?;
        if self.takes("@") {
            return self.variant(name);
        }
        if self.takes("()") {
            return Ok(ReadPlan::Unit);
        }
        if self.takes("(") {
            return self.newtype();
        }
        if self.takes("<") {
            return self.within(Self::tuple);
        }
        if self.takes("{") {
            return self.within(Self::fields);
        }
        leaf(&name).map(ReadPlan::Leaf).ok_or_else(|| self.stop())
    }

    fn newtype(&mut self) -> PlanResult<ReadPlan> {
        let inner = self.within(Self::shape)?;
        self.expect(")")?;
        Ok(inner)
    }

    fn variant(&mut self, name: String) -> PlanResult<ReadPlan> {
        let number = u32::try_from(self.number()?).map_err(|_| Unplanned::Unclear)?;
        self.count()?;
        let content = if self.takes("(") {
            Some(self.newtype()?)
        } else if self.takes("<") {
            Some(self.within(Self::tuple)?)
        } else if self.takes("{") {
            Some(self.within(Self::fields)?)
        } else {
            None
        };
        Ok(ReadPlan::Enum(BTreeMap::from([(number, (name, content))])))
    }

    /// The elements of a tuple, and its end.
    fn tuple(&mut self) -> PlanResult<ReadPlan> {
        let mut parts = Vec::new();
        while !self.takes(">") {
            if !parts.is_empty() {
                self.expect(",")?;
            }
            let part = self.shape()?;
            let times = if self.takes("*") { self.number()? } else { 1 };
            parts.push((part, times));
        }
        Ok(ReadPlan::Parts(None, parts))
    }

    /// The fields of a struct, and its end.
    fn fields(&mut self) -> PlanResult<ReadPlan> {
        let (mut names, mut parts) = (Vec::new(), Vec::new());
        loop {
            if self.takes("!}") {
                return Ok(ReadPlan::Parts(None, parts));
            }
            if self.takes("}") {
                return Ok(ReadPlan::Parts(Some(names), parts));
            }
            if !parts.is_empty() {
                self.expect(",")?;
            }
            names.push(self.name()?.ok_or_else(|| self.stop())?);
            self.expect(":")?;
            parts.push((self.shape()?, 1));
        }
    }

    /// An entry of a map: its key and its value as parts.
    fn entry(&mut self) -> PlanResult<ReadPlan> {
        let key = self.shape()?;
        self.expect(":")?;
        Ok(ReadPlan::Parts(None, vec![(key, 1), (self.shape()?, 1)]))
    }

    /// The shapes in a list, and its end.
    fn together(&mut self, end: &str, read: fn(&mut Self) -> PlanResult<ReadPlan>) -> PlanResult<Option<ReadPlan>> {
        let mut all: Option<ReadPlan> = None;
        loop {
            if self.takes(end) {
                return Ok(all);
            }
            if self.takes("|#") {
                let digits = self.rest.bytes().take_while(u8::is_ascii_hexdigit).count();
                self.rest = &self.rest[digits..];
                self.is_cut = true;
                continue;
            }
            if all.is_some() {
                self.expect("|")?;
            }
            let one = read(self)?;
            match &mut all {
                None => all = Some(one),
                Some(all) => self.join(all, one)?,
            }
        }
    }

    /// Merges a plan into another.
    fn join(&mut self, plan: &mut ReadPlan, other: ReadPlan) -> PlanResult<()> {
        if self.fits(plan, &other) { self.merge(plan, other) } else { Err(Unplanned::Unclear) }
    }

    /// Merges a plan into another that it [fits](Self::fits).
    fn merge(&mut self, plan: &mut ReadPlan, other: ReadPlan) -> PlanResult<()> {
        match (plan, other) {
            (ReadPlan::Option(mine), ReadPlan::Option(other)) | (ReadPlan::List(mine), ReadPlan::List(other)) => {
                match (mine, other) {
                    (Some(mine), Some(other)) => self.merge(mine, *other)?,
                    (mine @ None, other) => *mine = other,
                    (Some(_), None) => {}
                }
            }
            (ReadPlan::Map(mine), ReadPlan::Map(other)) => match (mine, other) {
                (Some(mine), Some(other)) => {
                    self.merge(&mut mine.0, other.0)?;
                    self.merge(&mut mine.1, other.1)?;
                }
                (mine @ None, other) => *mine = other,
                (Some(_), None) => {}
            },
            (ReadPlan::Enum(mine), ReadPlan::Enum(other)) => {
                for (number, (name, content)) in other {
                    match (mine.get_mut(&number), content) {
                        (Some((_, Some(mine))), Some(content)) => self.merge(mine, content)?,
                        (Some(_), _) => {}
                        (None, content) => drop(mine.insert(number, (name, content))),
                    }
                }
            }
            (ReadPlan::Parts(_, mine), ReadPlan::Parts(_, other)) => self.merge_parts(mine, other)?,
            _ => {}
        }
        Ok(())
    }

    fn merge_parts(&mut self, mine: &mut Vec<(ReadPlan, u64)>, other: Vec<(ReadPlan, u64)>) -> PlanResult<()> {
        let times = |parts: &[(ReadPlan, u64)]| parts.iter().map(|(_, times)| *times).collect::<Vec<_>>();
        if times(mine) == times(&other) {
            return mine.iter_mut().zip(other).try_for_each(|((mine, _), (other, _))| self.merge(mine, other));
        }
        *mine = self.joined(mine, &other)?;
        Ok(())
    }

    /// The parts of both, which are equally many.
    fn joined(&mut self, mine: &[(ReadPlan, u64)], other: &[(ReadPlan, u64)]) -> PlanResult<Vec<(ReadPlan, u64)>> {
        let mut joined = Vec::new();
        for (mine, other, times) in aligned(mine, other) {
            let mut part = self.copy(mine)?;
            let other = self.copy(other)?;
            self.merge(&mut part, other)?;
            joined.push((part, times));
        }
        Ok(joined)
    }

    fn step(&self) -> bool {
        let left = self.steps.get();
        self.steps.set(left.saturating_sub(1));
        left > 0
    }

    /// Whether the bytes say which of two plans they have, or both plans are of one type.
    fn fits(&self, plan: &ReadPlan, other: &ReadPlan) -> bool {
        self.step()
            && match (plan, other) {
                (ReadPlan::Leaf(mine), ReadPlan::Leaf(other)) => mine == other,
                (ReadPlan::Unit, ReadPlan::Unit) => true,
                (ReadPlan::Option(mine), ReadPlan::Option(other)) | (ReadPlan::List(mine), ReadPlan::List(other)) => {
                    mine.as_deref().zip(other.as_deref()).is_none_or(|(mine, other)| self.fits(mine, other))
                }
                (ReadPlan::Map(mine), ReadPlan::Map(other)) => mine
                    .as_deref()
                    .zip(other.as_deref())
                    .is_none_or(|(mine, other)| self.fits(&mine.0, &other.0) && self.fits(&mine.1, &other.1)),
                (ReadPlan::Enum(mine), ReadPlan::Enum(other)) => other.iter().all(|(number, (name, content))| {
                    mine.get(number).is_none_or(|(my_name, mine)| {
                        name == my_name
                            && match (mine, content) {
                                (Some(mine), Some(content)) => self.fits(mine, content),
                                (mine, content) => mine.is_none() && content.is_none(),
                            }
                    })
                }),
                (ReadPlan::Parts(names, mine), ReadPlan::Parts(other_names, other)) => {
                    let count =
                        |parts: &[(ReadPlan, u64)]| parts.iter().map(|(_, times)| u128::from(*times)).sum::<u128>();
                    names == other_names
                        && count(mine) == count(other)
                        && aligned(mine, other).all(|(mine, other, _)| self.fits(mine, other))
                }
                _ => false,
            }
    }

    /// A copy, which counts as a plan.
    fn copy(&mut self, plan: &ReadPlan) -> PlanResult<ReadPlan> {
        self.left = self.left.checked_sub(size(plan)).ok_or(Unplanned::Unclear)?;
        Ok(plan.clone())
    }
}

fn pair(entry: ReadPlan) -> Option<Box<(ReadPlan, ReadPlan)>> {
    match entry {
        ReadPlan::Parts(_, parts) => {
            let mut parts = parts.into_iter().map(|(part, _)| part);
            Some(Box::new((parts.next()?, parts.next()?)))
        }
        _ => None,
    }
}

fn size(plan: &ReadPlan) -> usize {
    1 + match plan {
        ReadPlan::Leaf(_) | ReadPlan::Unit => 0,
        ReadPlan::Option(inner) | ReadPlan::List(inner) => inner.as_deref().map_or(0, size),
        ReadPlan::Parts(_, parts) => parts.iter().map(|(part, _)| size(part)).sum(),
        ReadPlan::Enum(variants) => {
            variants.values().map(|(_, content)| 1 + content.as_ref().map_or(0, size)).sum::<usize>()
        }
        ReadPlan::Map(entry) => entry.as_deref().map_or(0, |(key, value)| size(key) + size(value)),
    }
}

/// Two rows of parts in parallel, as equally long stretches of both.
fn aligned<'a>(
    mine: &'a [(ReadPlan, u64)],
    other: &'a [(ReadPlan, u64)],
) -> impl Iterator<Item = (&'a ReadPlan, &'a ReadPlan, u64)> + use<'a> {
    let (mut mine, mut other) = (mine.iter(), other.iter());
    let next = |parts: &mut std::slice::Iter<'a, (ReadPlan, u64)>| parts.next().map(|(plan, times)| (plan, *times));
    let (mut a, mut b) = (next(&mut mine), next(&mut other));
    std::iter::from_fn(move || {
        let (left, right) = (a?, b?);
        let times = left.1.min(right.1);
        let rest = |(plan, all): (&'a ReadPlan, u64)| (all > times).then_some((plan, all - times));
        a = rest(left).or_else(|| next(&mut mine));
        b = rest(right).or_else(|| next(&mut other));
        Some((left.0, right.0, times))
    })
}

fn leaf(name: &str) -> Option<Leaf> {
    Some(match name {
        "u8" => Leaf::U8,
        "u16" => Leaf::U16,
        "u32" => Leaf::U32,
        "u64" => Leaf::U64,
        "u128" => Leaf::U128,
        "i8" => Leaf::I8,
        "i16" => Leaf::I16,
        "i32" => Leaf::I32,
        "i64" => Leaf::I64,
        "i128" => Leaf::I128,
        "f32" => Leaf::F32,
        "f64" => Leaf::F64,
        "bool" => Leaf::Bool,
        "char" => Leaf::Char,
        "str" => Leaf::Text,
        "bytes" => Leaf::Bytes,
        _ => return None,
    })
}
