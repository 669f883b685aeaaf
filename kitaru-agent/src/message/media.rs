//! Images, recordings and documents in a conversation.
//!
//! Owns where their content is, and their stored form. Must not know a provider, nor who records them.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An image, a recording or a document: its type, and its content by value, by the path of a file, or by an address.
///
/// A run reads a file once, when it begins; a durable run records what it read. The provider fetches an address. Clones share
/// the content.
///
/// A file is a regular one of 32 MiB at most. A [`Prompt`](crate::Prompt) or a history that is read from JSON may name any file that
/// the program can read, which a run then sends to the provider: do not read either from a client.
///
/// Its JSON form contains the content, in base64. A durable run keeps each content in one record; see the guide.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, FunctionModel, Media, ModelResponse, Prompt, RequestPart};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = FunctionModel::new("mock", |request| {
///     let seen = request.attachments().map(|part| part.media.media_type.as_str()).collect::<Vec<_>>();
///     Ok(ModelResponse::text(format!("{} with {}", request.prompt().unwrap(), seen.join(", "))))
/// });
/// let picture = Media::new("image/png", [0x89, b'P', b'N', b'G']);
/// let prompt = Prompt::from("What is this?").with(picture).with(Media::url("image/jpeg", "https://example.com/tide.jpg"));
/// let result = Agent::builder(model).build()?.run(prompt).await?;
/// assert_eq!(result.output, "What is this? with image/png, image/jpeg");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Media {
    /// Its type, such as `image/png` or `application/pdf`.
    pub media_type: String,
    /// The name of its file, which some providers show to the model.
    pub name: Option<String>,
    source: Source,
}

/// Where content is.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    Data(Content),
    Url(String),
    /// The path of a file that has not been read.
    File(String),
    /// In another record.
    Kept(Digest),
}

/// What identifies a content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    pub(crate) blake3: String,
    pub(crate) bytes: u64,
}

/// The bytes of a content. Clones share them.
#[derive(Clone)]
pub(crate) struct Content(Arc<Bytes>);

struct Bytes {
    bytes: Box<[u8]>,
    digest: OnceLock<Digest>,
}

/// The kinds of media that providers distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A recording of sound.
    Audio,
    /// A film.
    Video,
    /// A text, a PDF or anything else.
    Document,
}

/// The media types of files, by their extensions.
const EXTENSIONS: [(&str, &str); 20] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("mp3", "audio/mpeg"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("m4a", "audio/mp4"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("pdf", "application/pdf"),
    ("json", "application/json"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("xml", "text/xml"),
    ("rs", "text/plain"),
];

impl Media {
    /// Content by value.
    pub fn new(media_type: impl Into<String>, bytes: impl Into<Box<[u8]>>) -> Self {
        Self::of(media_type.into(), Source::Data(Content::new(bytes.into())))
    }

    /// Content that the provider fetches from an address. What is there is not recorded.
    pub fn url(media_type: impl Into<String>, url: impl Into<String>) -> Self {
        Self::of(media_type.into(), Source::Url(url.into()))
    }

    /// The content of a file, which a run reads when it begins. Its type follows from the extension; for an unknown extension,
    /// set it with [`media_type`](Self::media_type).
    pub fn file(path: impl Into<String>) -> Self {
        let path = path.into();
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
        let known = EXTENSIONS.iter().find(|(known, _)| *known == extension).map(|(_, media_type)| *media_type);
        let media = Self::of(known.unwrap_or("application/octet-stream").to_owned(), Source::File(path));
        Self { name: Some(name), ..media }
    }

    fn of(media_type: String, source: Source) -> Self {
        Self { media_type, name: None, source }
    }

    /// Sets the media type.
    #[must_use]
    pub fn media_type(self, media_type: impl Into<String>) -> Self {
        Self { media_type: media_type.into(), ..self }
    }

    /// Sets the name of its file.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// What kind of media it is, by its type.
    pub fn kind(&self) -> MediaKind {
        match self.media_type.split('/').next() {
            Some("image") => MediaKind::Image,
            Some("audio") => MediaKind::Audio,
            Some("video") => MediaKind::Video,
            _ => MediaKind::Document,
        }
    }

    /// Its bytes, if it has them: not those of an address, and not those of a file that was not read.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Data(content) => Some(&content.0.bytes),
            Source::Url(_) | Source::File(_) | Source::Kept(_) => None,
        }
    }

    /// Its address, if it has one.
    pub fn address(&self) -> Option<&str> {
        match &self.source {
            Source::Url(url) => Some(url),
            Source::Data(_) | Source::File(_) | Source::Kept(_) => None,
        }
    }

    /// The digest of its bytes (BLAKE3, hexadecimal), if it has them or had them before they were recorded elsewhere.
    pub fn digest(&self) -> Option<&str> {
        match &self.source {
            Source::Data(content) => Some(&content.digest().blake3),
            Source::Kept(digest) => Some(&digest.blake3),
            Source::Url(_) | Source::File(_) => None,
        }
    }

    /// The path of its file, if that was not read.
    pub(crate) fn path(&self) -> Option<&str> {
        match &self.source {
            Source::File(path) => Some(path),
            Source::Data(_) | Source::Url(_) | Source::Kept(_) => None,
        }
    }

    /// The same, with the content of its file.
    pub(crate) fn with_bytes(&self, bytes: Box<[u8]>) -> Self {
        Self { source: Source::Data(Content::new(bytes)), ..self.clone() }
    }

    /// The same, with only the digest of its content.
    pub(crate) fn by_digest(&self) -> Self {
        match &self.source {
            Source::Data(content) => Self { source: Source::Kept(content.digest().clone()), ..self.clone() },
            Source::Url(_) | Source::File(_) | Source::Kept(_) => self.clone(),
        }
    }

    /// Content in base64. `None` if it is something else.
    #[cfg(feature = "mcp")]
    pub(crate) fn from_base64(media_type: &str, text: &str) -> Option<Self> {
        STANDARD.decode(text).ok().map(|bytes| Self::new(media_type, bytes))
    }

    /// Its bytes in base64.
    #[cfg(feature = "http")]
    pub(crate) fn base64(&self) -> Option<String> {
        self.bytes().map(|bytes| STANDARD.encode(bytes))
    }
}

impl Content {
    fn new(bytes: Box<[u8]>) -> Self {
        Self(Arc::new(Bytes { bytes, digest: OnceLock::new() }))
    }

    fn digest(&self) -> &Digest {
        let Bytes { bytes, digest } = &*self.0;
        digest.get_or_init(|| Digest { blake3: blake3::hash(bytes).to_hex().to_string(), bytes: bytes.len() as u64 })
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.bytes == other.0.bytes
    }
}

/// As base64, in every format: it is small next to what a text of numbers would be.
impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0.bytes))
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| D::Error::custom(format_args!("cannot read content: it is not base64 ({error})")))?;
        Ok(Self::new(bytes.into()))
    }
}

impl fmt::Debug for Media {
    // The bytes are left out: they would fill a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Media");
        shown.field("media_type", &self.media_type).field("name", &self.name);
        match &self.source {
            Source::Data(content) => shown.field("bytes", &content.0.bytes.len()),
            Source::Url(url) => shown.field("url", url),
            Source::File(path) => shown.field("file", path),
            Source::Kept(digest) => shown.field("digest", digest),
        };
        shown.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_has_the_media_type_of_its_extension() {
        for (path, media_type, name, kind) in [
            ("a/b/Tide.PNG", "image/png", "Tide.PNG", MediaKind::Image),
            ("C:\\x\\talk.mp3", "audio/mpeg", "talk.mp3", MediaKind::Audio),
            ("report.pdf", "application/pdf", "report.pdf", MediaKind::Document),
            ("png", "application/octet-stream", "png", MediaKind::Document),
        ] {
            let media = Media::file(path);
            assert_eq!((media.media_type.as_str(), media.name.as_deref()), (media_type, Some(name)), "{path}");
            assert_eq!((media.kind(), media.path(), media.bytes()), (kind, Some(path), None));
        }
    }

    #[test]
    fn content_of_media_is_not_in_its_debug_form() {
        let shown = format!("{:?}", Media::new("image/png", *b"secret"));
        assert_eq!(shown, r#"Media { media_type: "image/png", name: None, bytes: 6 }"#);
    }

    #[test]
    fn media_by_digest_identifies_its_content_without_it() {
        let media = Media::new("image/png", *b"abc").named("x");
        let kept = media.by_digest();
        assert_eq!((kept.digest(), kept.bytes(), kept.name.as_deref()), (media.digest(), None, Some("x")));
        assert_eq!(kept.by_digest(), kept);
        assert_ne!(Media::new("image/png", *b"abd").by_digest(), Media::new("image/png", *b"abc").by_digest());
    }
}
