//! The style and the script, under names that change with them.

use std::sync::LazyLock;

use http::header::HeaderValue;

const STYLE: &str = include_str!("../../assets/style.css");
const SCRIPT: &str = include_str!("../../assets/script.js");

/// The paths of the style and the script.
pub(super) static STYLE_PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/{}.css", digest(STYLE)));
pub(super) static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/{}.js", digest(SCRIPT)));

/// FNV-1a, 64 bits: a name that is another one for another text.
fn digest(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

/// The text and the kind of an asset.
pub(crate) fn asset(path: &str) -> Option<(&'static str, HeaderValue)> {
    if path == *STYLE_PATH {
        return Some((STYLE, HeaderValue::from_static("text/css; charset=utf-8")));
    }
    (path == *SCRIPT_PATH).then(|| (SCRIPT, HeaderValue::from_static("text/javascript; charset=utf-8")))
}
