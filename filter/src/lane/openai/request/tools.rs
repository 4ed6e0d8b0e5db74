//! Tools, and which of them may be called.

use super::{No, Say, bad, bad_name};
use crate::lane::openai::json::{self, Members, Object, between, item, objects};
use crate::lane::openai::table::dropped;

/// What else a tool may say of itself. Every caller here is the model, and every tool is shown at once.
const BESIDE: [&str; 4] =
    ["allowed_callers", "defer_loading", "eager_input_streaming", "input_examples"];

impl Say<'_> {
    /// Writes the tools and the choice among them.
    pub(super) fn tools(&mut self, body: &Object<'_>, members: &mut Members<'_>) -> Result<(), No> {
        let Some(list) = body.get("tools") else { return Ok(()) };
        let tools = objects(list);
        let tools = tools.ok_or_else(|| bad("tools: a list is needed"))?;
        let choice = body.object("tool_choice").unwrap_or_default();
        let how = choice.word("type");
        if how == "none" && !self.provider.tool_choice {
            return Ok(()); // not to be called is not to be there
        }
        let mut out = vec![b'['];
        for tool in &tools {
            self.tool(tool, &mut out)?;
        }
        if out.len() == 1 {
            return Ok(()); // a choice among none is refused by some
        }
        json::put(&mut out, "]");
        members.name("tools").append(&mut out);

        self.choice(&choice, how, members)
    }

    fn tool(&mut self, tool: &Object<'_>, out: &mut Vec<u8>) -> Result<(), No> {
        let kind = tool.word("type");
        match kind {
            "" | "custom" => {}
            _ if kind.starts_with("tool_search_tool") => {
                self.drop(dropped::TOOL_SEARCH);
                return Ok(());
            }
            _ => {
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
        how: &str,
        members: &mut Members<'_>,
    ) -> Result<(), No> {
        if self.provider.tool_choice {
            let word = match how {
                "" => "",
                "auto" => "\"auto\"",
                "any" => "\"required\"",
                "none" => "\"none\"",
                "tool" => r#"{"type":"function","function":{"name":"#,
                _ => return Err(bad_name("tool_choice: there is no type ", how, "")),
            };
            if !word.is_empty() {
                members.raw("tool_choice", word);
            }
            if how == "tool" {
                members.more(choice.quoted("name").ok_or_else(|| bad("tool_choice: no name"))?);
                members.more("}}");
            }
        } else if !matches!(how, "" | "auto") {
            self.drop(dropped::TOOL_CHOICE);
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
