//! What a user's message is made of.

use super::{No, Say, bad, bad_name};
use crate::lane::openai::json::{self, Members, Object, between, item, put_escaped, put_joined};

/// One part. Texts stand as they do between their quotes.
pub(super) enum Part<'a> {
    Text(&'a str),
    /// A sentence of ours.
    Note(String),
    Image {
        media: &'a str,
        data: &'a str,
    },
    ImageUrl(&'a str),
    File {
        name: &'a str,
        media: &'a str,
        data: &'a str,
    },
}

impl Say<'_> {
    /// A block of a user's turn, or of a tool's result, that is no result itself.
    pub(super) fn part<'a>(
        &mut self,
        block: &Object<'a>,
        parts: &mut Vec<Part<'a>>,
    ) -> Result<(), No> {
        self.beside_block(block);
        match block.word("type") {
            "text" => parts.push(Part::Text(text(block)?)),
            "image" => parts.push(self.image(block)?),
            "document" => self.document(block, parts)?,
            other => return Err(unknown(other)),
        }

        Ok(())
    }

    fn image<'a>(&self, block: &Object<'a>) -> Result<Part<'a>, No> {
        let source = source(block)?;
        match source.word("type") {
            "base64" => Ok(Part::Image {
                media: member(&source, "media_type")?,
                data: member(&source, "data")?,
            }),
            "url" if self.provider.image_urls => Ok(Part::ImageUrl(member(&source, "url")?)),
            "url" => Err(bad("image: this provider takes no URLs; send the image itself")),
            other => Err(no_source("image: ", other)),
        }
    }

    fn document<'a>(&mut self, block: &Object<'a>, parts: &mut Vec<Part<'a>>) -> Result<(), No> {
        let source = source(block)?;
        let title = block.quoted("title").map(between).filter(|title| !title.is_empty());
        let context = block.quoted("context").map(between).filter(|context| !context.is_empty());
        match source.word("type") {
            "base64" if !self.provider.documents => {
                return Err(bad("document: this provider reads no such documents"));
            }
            "base64" => {
                parts.extend(context.map(Part::Text));
                let (media, data) = (member(&source, "media_type")?, member(&source, "data")?);
                parts.push(Part::File { name: title.unwrap_or("document.pdf"), media, data });
            }
            "text" => {
                parts.extend(title.into_iter().chain(context).map(Part::Text));
                parts.push(Part::Text(member(&source, "data")?));
            }
            "content" => {
                parts.extend(title.into_iter().chain(context).map(Part::Text));
                if let Some(text) = source.quoted("content") {
                    parts.push(Part::Text(between(text)));
                }
                for inner in source.objects("content").unwrap_or_default() {
                    match inner.word("type") {
                        "text" => parts.push(Part::Text(text(&inner)?)),
                        "image" => parts.push(self.image(&inner)?),
                        other => return Err(unknown(other)),
                    }
                }
            }
            other => return Err(no_source("document: ", other)),
        }

        Ok(())
    }
}

/// A text block's text.
pub(super) fn text<'a>(block: &Object<'a>) -> Result<&'a str, No> {
    member(block, "text")
}

/// A string that a block must have.
#[inline(never)]
pub(super) fn member<'a>(block: &Object<'a>, name: &str) -> Result<&'a str, No> {
    block.quoted(name).map(between).ok_or_else(|| bad_name("messages: ", name, " is not a string"))
}

/// A kind of block that has no words.
pub(super) fn unknown(kind: &str) -> No {
    bad_name("messages: this provider has no blocks of type ", kind, "")
}

fn source<'a>(block: &Object<'a>) -> Result<Object<'a>, No> {
    block.object("source").ok_or_else(|| bad("messages: a block has no source"))
}

fn no_source(what: &str, kind: &str) -> No {
    bad_name(what, kind, " is no source that this provider knows")
}

/// Writes parts as a message's content: a string where all of them are text, as every server takes it.
pub(super) fn put(out: &mut Vec<u8>, parts: &[Part<'_>]) {
    if parts.iter().all(|part| matches!(part, Part::Text(_) | Part::Note(_))) {
        json::put(out, "\"");
        put_texts(out, parts);
        json::put(out, "\"");
        return;
    }
    json::put(out, "[");
    for part in parts {
        put_part(item(out), part);
    }
    json::put(out, "]");
}

fn put_texts(out: &mut Vec<u8>, parts: &[Part<'_>]) {
    let mut first = true;
    for part in parts {
        if !std::mem::take(&mut first) {
            json::put(out, "\\n");
        }
        match part {
            Part::Note(note) => put_escaped(out, note),
            Part::Text(text) => json::put(out, text),
            Part::Image { .. } | Part::ImageUrl(_) | Part::File { .. } => {}
        }
    }
}

fn put_part(out: &mut Vec<u8>, part: &Part<'_>) {
    let mut members = Members::begin(out);
    match part {
        Part::Text(_) | Part::Note(_) => {
            members.raw("type", "\"text\"");
            let out = members.name("text");
            json::put(out, "\"");
            put_texts(out, std::slice::from_ref(part));
            json::put(out, "\"");
        }
        Part::Image { media, data } => {
            members.raw("type", "\"image_url\"");
            let mut url = Members::begin(members.name("image_url"));
            put_data(url.name("url"), media, data);
            url.end();
        }
        Part::ImageUrl(address) => {
            members.raw("type", "\"image_url\"");
            let mut url = Members::begin(members.name("image_url"));
            put_joined(url.name("url"), &[address]);
            url.end();
        }
        Part::File { name, media, data } => {
            members.raw("type", "\"file\"");
            let mut file = Members::begin(members.name("file"));
            put_joined(file.name("filename"), &[name]);
            put_data(file.name("file_data"), media, data);
            file.end();
        }
    }
    members.end();
}

/// A data URL (RFC 2397).
fn put_data(out: &mut Vec<u8>, media: &str, data: &str) {
    put_joined(out, &["data:", media, ";base64,", data]);
}
