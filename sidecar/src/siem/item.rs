//! A row on its way: the JSON that mirrors it, in the vendor's frame, within the vendor's limit.

use super::vendor::{Vendor, occurred};
use crate::store::Row;
use crate::store::row::COLUMNS;
use serde_json::{Map, Value, json};

/// Says that content, or more, was left out because the vendor takes no row that long.
pub const CUT: &str = "siem_cut";

/// A row on its way.
#[derive(Debug, Clone)]
pub struct Item {
    /// Who stored it.
    pub writer: String,
    /// Its place among that writer's rows.
    pub place: i64,
    /// Its id.
    pub event_id: String,
    /// When it occurred, Unix microseconds.
    pub occurred: u64,
    /// As it is sent.
    pub framed: Vec<u8>,
    /// Why it cannot be sent at all.
    pub fault: Option<String>,
}

impl Item {
    /// A row, with or without what was said.
    ///
    /// # Errors
    /// If it is no JSON, which cannot be.
    pub fn of(mut row: Row, vendor: &Vendor, content: bool) -> Result<Self, serde_json::Error> {
        let limit = vendor.limits().row;
        if !content && let Some(payload) = payload(&mut row) {
            payload.remove("content");
        }
        let mut framed = vendor.frame(&row, &serde_json::to_string(&row)?);
        for cut in [without_content, columns_alone] {
            if framed.len() <= limit {
                break;
            }
            if let Some(payload) = payload(&mut row) {
                cut(payload);
            }
            framed = vendor.frame(&row, &serde_json::to_string(&row)?);
        }
        let (event_id, occurred) = (row.text("event_id"), occurred(&row));
        let fault = (framed.len() > limit).then(|| "it is too long for this sink, even cut".into());

        Ok(Self { writer: row.writer, place: row.place, event_id, occurred, framed, fault })
    }

    /// A row that the store cannot read: somebody changed it behind its back.
    pub fn unreadable(writer: &str, place: i64, why: &str) -> Self {
        Self {
            writer: writer.to_owned(),
            place,
            event_id: String::new(),
            occurred: 0,
            framed: Vec::new(),
            fault: Some(why.to_owned()),
        }
    }

    /// As it stands among the dead letters: `why` it is there, and the row as it was sent.
    pub fn letter(&self, why: &str) -> Vec<u8> {
        let letter = json!({
            "event_id": self.event_id,
            "writer": self.writer,
            "place": self.place,
            "why": why,
            "sent": String::from_utf8_lossy(&self.framed),
        });

        format!("{letter}\n").into_bytes()
    }
}

fn payload(row: &mut Row) -> Option<&mut Map<String, Value>> {
    let found = COLUMNS.iter().zip(&mut row.values).find(|((name, _), _)| *name == "payload");

    found.and_then(|(_, value)| value.as_object_mut())
}

fn without_content(payload: &mut Map<String, Value>) {
    payload.remove("content");
    flag(payload);
}

fn columns_alone(payload: &mut Map<String, Value>) {
    payload.retain(|member, _| matches!(&**member, "flags" | "sequence" | "content_sha256"));
}

fn flag(payload: &mut Map<String, Value>) {
    match payload.get_mut("flags") {
        Some(Value::Array(flags)) => flags.push(CUT.into()),
        _ => {
            payload.insert("flags".to_owned(), json!([CUT]));
        }
    }
}

#[cfg(test)]
mod tests;
