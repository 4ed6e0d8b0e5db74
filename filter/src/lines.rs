//! Lines of a text that comes in pieces. They end in LF, CRLF or CR, wherever a piece is cut (WHATWG HTML, §9.2.6).

/// Where in a line ending the text is.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    after_cr: bool,
}

impl Lines {
    /// The next part of a line, whether the line ends behind it, and what is left of the piece; none where nothing is.
    pub(crate) fn next<'c>(&mut self, chunk: &'c [u8]) -> Option<(&'c [u8], bool, &'c [u8])> {
        let (first, behind) = chunk.split_first()?;
        let inside = std::mem::take(&mut self.after_cr) && *first == b'\n';
        let chunk = if inside { behind } else { chunk };
        if chunk.is_empty() {
            return None;
        }
        let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let (text, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
        match rest.split_first() {
            Some((ending, rest)) => {
                self.after_cr = *ending == b'\r';
                Some((text, true, rest))
            }
            None => Some((text, false, rest)),
        }
    }
}
