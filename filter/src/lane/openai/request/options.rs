//! Bounds, sampling, how hard to think, and the form of the answer.

use super::{No, Say, bad, bad_name};
use crate::lane::openai::json::{Members, Object, count};
use crate::lane::openai::table::dropped;

/// Words for effort, weakest first.
const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

impl Say<'_> {
    /// Writes the options.
    pub(super) fn options(
        &mut self,
        body: &Object<'_>,
        members: &mut Members<'_>,
    ) -> Result<(), No> {
        if let Some(most) = body.get("max_tokens") {
            members.raw(&self.provider.limit, most);
        }
        self.sampling(body, members);
        if let Some(stops) = body.get("stop_sequences") {
            let many = count(stops);
            if let Some(most) = self.provider.stops.filter(|most| many > *most) {
                let most = most.to_string();
                return Err(bad_name("stop_sequences: this provider takes at most ", &most, ""));
            }
            if many > 0 {
                members.raw("stop", stops);
            }
        }
        let config = body.object("output_config").unwrap_or_default();
        for (name, value) in config.members() {
            match name {
                "effort" | "format" => {}
                _ if value == "null" => {}
                "task_budget" => self.drop(dropped::TASK_BUDGET),
                _ => self.drop(dropped::UNKNOWN),
            }
        }
        self.effort(&config, &body.object("thinking").unwrap_or_default(), members);
        if let Some(form) = config.object("format").or_else(|| body.object("output_format")) {
            self.form(&form, members)?;
        }

        Ok(())
    }

    fn sampling(&mut self, body: &Object<'_>, members: &mut Members<'_>) {
        let off = self.lane.param("sampling") == "off";
        for name in ["temperature", "top_p", "top_k"] {
            match body.get(name) {
                None => {}
                Some(_) if off => self.drop(dropped::SAMPLING),
                Some(_) if name == "top_k" && !self.provider.top_k => self.drop(dropped::TOP_K),
                Some(value) => members.raw(name, value),
            }
        }
    }

    /// The stated effort, or one that a budget of thinking amounts to. What is stronger than the provider knows is
    /// its strongest.
    fn effort(&mut self, config: &Object<'_>, thinking: &Object<'_>, members: &mut Members<'_>) {
        let (stated, how) = (config.word("effort"), thinking.word("type"));
        let known = &self.provider.efforts;
        let can_be_off = known.iter().any(|effort| effort == "none");
        let asked = match how {
            "disabled" if can_be_off || stated.is_empty() => "none",
            _ if !stated.is_empty() => stated,
            "enabled" => match thinking.number("budget_tokens") {
                Some(0..4096) => "low",
                Some(4096..16384) => "medium",
                _ => "high",
            },
            _ => return,
        };
        let place = EFFORTS.iter().position(|effort| *effort == asked);
        let mut weaker =
            EFFORTS.iter().take(place.map_or(0, |place| place.saturating_add(1))).rev();
        let found = match asked {
            "none" => known.iter().find(|effort| *effort == "none"),
            _ => weaker.find_map(|effort| known.iter().find(|known| known == effort)),
        };
        match found.filter(|_| self.lane.param("reasoning_effort") != "off") {
            Some(effort) => members.string("reasoning_effort", effort),
            None => self.drop(dropped::EFFORT),
        }
    }

    fn form(&mut self, form: &Object<'_>, members: &mut Members<'_>) -> Result<(), No> {
        if form.word("type") != "json_schema" {
            return Err(bad("output_config.format: only json_schema is known"));
        }
        let schema = form.get("schema").ok_or_else(|| bad("output_config.format: no schema"))?;
        let mut format = Members::begin(members.name("response_format"));
        format.raw("type", "\"json_schema\"");
        let mut inner = Members::begin(format.name("json_schema"));
        inner.raw("name", "\"answer\"");
        if self.provider.strict {
            inner.raw("strict", "true");
        }
        inner.raw("schema", schema);
        inner.end();
        format.end();

        Ok(())
    }
}
