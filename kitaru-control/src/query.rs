//! The parameters of a request. Owns how they are read and written; must not know what they narrow.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::api::{DiffQuery, ListQuery, LogLevel, LogsQuery, RecordsQuery};
use crate::problem::Problem;

/// What a segment of a path and a parameter may hold as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Decodes a segment of a path.
pub(crate) fn decoded(segment: &str) -> Result<String, Problem> {
    percent_decode_str(segment).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| {
        Problem::misuse("cannot read the path: it is not UTF-8 behind its percent signs; encode each segment")
    })
}

/// Reads each pair of a query or of a form, decoded.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = Result<(String, String), Problem>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| {
                Problem::misuse("cannot read the query: a parameter is not UTF-8 behind its percent signs; encode it")
            })
        };
        Ok((decode(name)?, decode(value)?))
    })
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Problem> {
    value.parse().map_err(|_| Problem::misuse(format!("cannot read {name}={value:?}: it is not a number in its range")))
}

fn unknown(name: &str, known: &str) -> Problem {
    Problem::misuse(format!("cannot read the query: the parameter {name:?} is unknown; it takes {known}"))
}

impl ListQuery {
    pub(crate) fn read(query: &str) -> Result<Self, Problem> {
        let mut read = ListQuery::default();
        for parameter in pairs(query) {
            let (name, value) = parameter?;
            match &*name {
                "flow" => read.flow = Some(value),
                "id_prefix" => read.id_prefix = Some(value),
                "status" => read.status.push(value),
                "tag" => read.tag.push(value),
                "parent" => read.parent = Some(value),
                "created_from_ms" => read.created_from_ms = Some(number(&name, &value)?),
                "created_before_ms" => read.created_before_ms = Some(number(&name, &value)?),
                "q" => read.search = Some(value),
                "cursor" => read.cursor = Some(value),
                "limit" => read.limit = Some(number(&name, &value)?),
                _ => {
                    let known =
                        "flow, id_prefix, status, tag, parent, created_from_ms, created_before_ms, q, cursor, limit";
                    return Err(unknown(&name, known));
                }
            }
        }
        Ok(read)
    }

    pub(crate) fn write(&self) -> String {
        let mut pairs = Vec::new();
        let mut put = |name: &str, value: &str| pairs.push(format!("{name}={}", encode(value)));
        let Self { flow, id_prefix, status, tag, parent, created_from_ms, created_before_ms, search, cursor, limit } =
            self;
        flow.iter().for_each(|flow| put("flow", flow));
        id_prefix.iter().for_each(|prefix| put("id_prefix", prefix));
        status.iter().for_each(|status| put("status", status));
        tag.iter().for_each(|tag| put("tag", tag));
        parent.iter().for_each(|parent| put("parent", parent));
        created_from_ms.iter().for_each(|ms| put("created_from_ms", &ms.to_string()));
        created_before_ms.iter().for_each(|ms| put("created_before_ms", &ms.to_string()));
        search.iter().for_each(|word| put("q", word));
        cursor.iter().for_each(|cursor| put("cursor", cursor));
        limit.iter().for_each(|limit| put("limit", &limit.to_string()));
        pairs.join("&")
    }
}

impl ListQuery {
    /// Whether it narrows the list. A cursor and a limit do not.
    pub(crate) fn has_condition(&self) -> bool {
        *self != ListQuery { cursor: self.cursor.clone(), limit: self.limit, ..ListQuery::default() }
    }
}

impl RecordsQuery {
    pub(crate) fn read(query: &str) -> Result<Self, Problem> {
        let mut read = RecordsQuery::default();
        for parameter in pairs(query) {
            let (name, value) = parameter?;
            match &*name {
                "generation" => read.generation = Some(number(&name, &value)?),
                "after" => read.after = Some(number(&name, &value)?),
                "limit" => read.limit = Some(number(&name, &value)?),
                _ => return Err(unknown(&name, "generation, after, limit")),
            }
        }
        Ok(read)
    }

    pub(crate) fn write(&self) -> String {
        let mut pairs = Vec::new();
        let Self { generation, after, limit } = self;
        generation.iter().for_each(|generation| pairs.push(format!("generation={generation}")));
        after.iter().for_each(|after| pairs.push(format!("after={after}")));
        limit.iter().for_each(|limit| pairs.push(format!("limit={limit}")));
        pairs.join("&")
    }
}

/// The levels, the most severe one first.
const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

impl LogLevel {
    /// Its name: `error`, `warn`, `info`, `debug` or `trace`.
    pub fn name(self) -> &'static str {
        LEVELS[self as usize].0
    }

    /// The level of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        LEVELS.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
    }
}

impl LogsQuery {
    pub(crate) fn read(query: &str) -> Result<Self, Problem> {
        let mut read = LogsQuery::default();
        for parameter in pairs(query) {
            let (name, value) = parameter?;
            match &*name {
                "after" => read.after = Some(number(&name, &value)?),
                "level" => {
                    let unknown =
                        || format!("cannot read level={value:?}: it is not error, warn, info, debug or trace");
                    read.level = Some(LogLevel::of_name(&value).ok_or_else(|| Problem::misuse(unknown()))?);
                }
                "limit" => read.limit = Some(number(&name, &value)?),
                _ => return Err(unknown(&name, "after, level, limit")),
            }
        }
        Ok(read)
    }

    pub(crate) fn write(&self) -> String {
        let mut pairs = Vec::new();
        let Self { after, level, limit } = self;
        after.iter().for_each(|after| pairs.push(format!("after={after}")));
        level.iter().for_each(|level| pairs.push(format!("level={}", level.name())));
        limit.iter().for_each(|limit| pairs.push(format!("limit={limit}")));
        pairs.join("&")
    }
}

impl DiffQuery {
    pub(crate) fn read(query: &str) -> Result<Self, Problem> {
        let mut with = None;
        for parameter in pairs(query) {
            let (name, value) = parameter?;
            match &*name {
                "with" => with = Some(value),
                _ => return Err(unknown(&name, "with")),
            }
        }
        let with = with.ok_or_else(|| {
            Problem::misuse("cannot compare the execution: the query names no other one; add with=flow/id")
        })?;
        Ok(DiffQuery { with })
    }

    pub(crate) fn write(&self) -> String {
        format!("with={}", encode(&self.with))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_comes_back_from_its_text() {
        let list = ListQuery {
            flow: Some("shop/order & co".into()),
            id_prefix: Some("a+b=%20ü".into()),
            status: vec!["failed".into(), "stuck".into()],
            tag: vec!["nightly".into()],
            parent: Some("a/b".into()),
            created_from_ms: Some(1),
            created_before_ms: Some(u64::MAX),
            search: Some("no card & no cash".into()),
            cursor: Some("1-a".into()),
            limit: Some(7),
        };
        assert_eq!(ListQuery::read(&list.write()).unwrap(), list);
        let records = RecordsQuery { generation: Some(2), after: Some(9), limit: Some(1) };
        assert_eq!(RecordsQuery::read(&records.write()).unwrap(), records);
        assert_eq!(ListQuery::read("").unwrap(), ListQuery::default());
        let logs = LogsQuery { after: Some(9), level: Some(LogLevel::Warn), limit: Some(1) };
        assert_eq!(LogsQuery::read(&logs.write()).unwrap(), logs);
        assert!(LogsQuery::read("level=loud").unwrap_err().body().detail.contains("it is not error, warn"));
        let diff = DiffQuery { with: "shop%2Forder/a b".into() };
        assert_eq!(DiffQuery::read(&diff.write()).unwrap(), diff);
        assert!(DiffQuery::read("").unwrap_err().body().detail.contains("with=flow/id"));
        let unbounded = ListQuery { cursor: Some("1-a".into()), limit: Some(7), ..ListQuery::default() };
        assert!(list.has_condition() && !unbounded.has_condition());
    }

    #[test]
    fn query_with_an_unknown_parameter_or_no_number_is_refused_with_what_there_is() {
        let unknown = ListQuery::read("state=failed").unwrap_err().body();
        assert!(unknown.detail.contains("\"state\"") && unknown.detail.contains("id_prefix"), "{unknown:?}");
        for bad in ["limit=x", "limit=-1", "created_from_ms=", "flow=%ff"] {
            assert_eq!(ListQuery::read(bad).unwrap_err().status, http::StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}
