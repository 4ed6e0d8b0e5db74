//! Tools, and which of them may be called.

use super::{Say, bad, bad_name};
use crate::lane::dialect::Unmappable;
use crate::lane::openai::json::{Members, Object, between, item, objects, put_string};
use crate::lane::openai::table::dropped;

/// What else a tool may say of itself. Every caller here is the model, and every tool is shown at once.
const BESIDE: [&str; 4] =
    ["allowed_callers", "defer_loading", "eager_input_streaming", "input_examples"];

impl Say<'_> {
    /// Writes the tools and the choice among them.
    pub(super) fn tools(
        &mut self,
        body: &Object<'_>,
        members: &mut Members<'_>,
    ) -> Result<(), Unmappable> {
        let Some(list) = body.get("tools") else { return Ok(()) };
        let tools = objects(list);
        let tools = tools.ok_or_else(|| bad("tools: a list is needed"))?;
        let choice = body.object("tool_choice").unwrap_or_default();
        let how = choice.text("type");
        if how.as_deref() == Some("none") && !self.provider.tool_choice {
            return Ok(()); // not to be called is not to be there
        }
        let mut out = vec![b'['];
        for tool in &tools {
            self.tool(tool, &mut out)?;
        }
        if out.len() == 1 {
            return Ok(()); // a choice among none is refused by some
        }
        out.push(b']');
        members.name("tools").append(&mut out);

        self.choice(&choice, how.as_deref(), members)
    }

    fn tool(&mut self, tool: &Object<'_>, out: &mut Vec<u8>) -> Result<(), Unmappable> {
        let kind = tool.text("type");
        match kind.as_deref() {
            None | Some("custom") => {}
            Some(kind) if kind.starts_with("tool_search_tool") => {
                self.drop(dropped::TOOL_SEARCH);
                return Ok(());
            }
            Some(kind) => {
                return Err(bad_name("tools: this provider has no tools of type ", kind, ""));
            }
        }
        let name = tool.quoted("name").ok_or_else(|| bad("tools: a tool has no name"))?;
        if self.provider.longest_tool_name.is_some_and(|most| between(name).len() > most) {
            let name = between(name);
            return Err(bad_name("tools: the name ", name, " is too long for this provider"));
        }
        for (member, value) in tool.members() {
            match member {
                "type" | "name" | "description" | "input_schema" => {}
                _ if value == "null" => {}
                "strict" if self.provider.strict => {}
                "strict" => self.drop(dropped::STRICT),
                "cache_control" => self.drop(dropped::CACHE_CONTROL),
                _ if BESIDE.contains(&member) => self.drop(dropped::TOOL_MEMBERS),
                _ => self.drop(dropped::UNKNOWN),
            }
        }
        let mut members = Members::begin(item(out));
        members.raw("type", "\"function\"");
        let mut function = Members::begin(members.name("function"));
        function.raw("name", name);
        if let Some(description) = tool.quoted("description") {
            function.raw("description", description);
        }
        function.raw("parameters", tool.get("input_schema").unwrap_or(r#"{"type":"object"}"#));
        if let (true, Some(strict)) = (self.provider.strict, tool.get("strict")) {
            function.raw("strict", strict);
        }
        function.end();
        members.end();

        Ok(())
    }

    fn choice(
        &mut self,
        choice: &Object<'_>,
        how: Option<&str>,
        members: &mut Members<'_>,
    ) -> Result<(), Unmappable> {
        let word = match how {
            None => None,
            Some("auto") => Some("\"auto\"".to_owned()),
            Some("any") => Some("\"required\"".to_owned()),
            Some("none") => Some("\"none\"".to_owned()),
            Some("tool") => {
                let name = choice.text("name").ok_or_else(|| bad("tool_choice: no name"))?;
                let mut out = br#"{"type":"function","function":{"name":"#.to_vec();
                put_string(&mut out, &name);
                out.extend(b"}}");
                String::from_utf8(out).ok()
            }
            Some(other) => return Err(bad_name("tool_choice: there is no type ", other, "")),
        };
        match word {
            Some(word) if self.provider.tool_choice => members.raw("tool_choice", &word),
            Some(_) if how != Some("auto") => self.drop(dropped::TOOL_CHOICE),
            _ => {}
        }
        if choice.is_true("disable_parallel_tool_use") {
            if self.provider.parallel_tool_calls {
                members.raw("parallel_tool_calls", "false");
            } else {
                self.drop(dropped::PARALLEL);
            }
        }

        Ok(())
    }
}
