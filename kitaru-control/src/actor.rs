//! Who asks, as an audit names it. Owns where the name is from; must not know whether it may ask.

use std::fs;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use crate::access::Who;

/// Names who asks, on behalf of the server that authenticates it. Over a Unix socket, the user of the other process is named, too.
pub(crate) const ACTOR: &str = "x-kitaru-actor";

/// The most bytes of the name that the other process gives.
const MOST_NAMED: usize = 64;

/// The name of who asks. `peer` is the user at the other end of a Unix socket.
pub(crate) fn actor(who: &Who, peer: Option<&Arc<str>>, headers: &HeaderMap) -> String {
    let named = sole_name(headers).map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
    let named = named.filter(|name| !name.trim().is_empty());
    match who {
        Who::Token { .. } | Who::Closed => "token".to_owned(),
        Who::OuterServer { .. } => named.unwrap_or_else(|| "outer server".to_owned()),
        Who::Socket => match (named, peer) {
            // An audit cuts long names at their end.
            (Some(named), Some(peer)) => format!("{} via {peer}", beginning(&named, MOST_NAMED)),
            (None, Some(peer)) => peer.to_string(),
            (named, None) => named.unwrap_or_else(|| "socket".to_owned()),
        },
    }
}

/// The name in the headers. Of two, one may be that of the outer server's client.
pub(crate) fn sole_name(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut names = headers.get_all(ACTOR).iter();
    names.next().filter(|_| names.next().is_none())
}

fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The name of a user of this system. Blocks.
pub(crate) fn user(uid: u32) -> Arc<str> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then_some(name)
    });
    name.map_or_else(|| format!("uid {uid}").into(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_who_asks_is_taken_from_those_who_know_it() {
        let mut headers = HeaderMap::new();
        headers.insert(ACTOR, "Ada".parse().unwrap());
        let (none, peer) = (HeaderMap::new(), Arc::from("root"));
        let token = Who::Token { token: "secret".into(), hosts: Vec::new() };
        let outer = Who::OuterServer { hosts: Vec::new() };
        assert_eq!(actor(&token, None, &headers), "token", "a client with the token may say anything");
        assert_eq!(actor(&outer, None, &headers), "Ada");
        assert_eq!(actor(&outer, None, &none), "outer server");
        assert_eq!(actor(&Who::Socket, Some(&peer), &headers), "Ada via root");
        assert_eq!(actor(&Who::Socket, Some(&peer), &none), "root");
        headers.append(ACTOR, "Eve".parse().unwrap());
        assert_eq!(actor(&outer, None, &headers), "outer server", "one of two names may be the client's");
        headers.insert(ACTOR, "a".repeat(128).parse().unwrap());
        assert!(actor(&Who::Socket, Some(&peer), &headers).ends_with("a via root"), "the user is not cut off");
        assert_eq!(&*user(0), "root");
        assert_eq!(&*user(u32::MAX - 7), format!("uid {}", u32::MAX - 7));
    }
}
