//! What makes an edit visible.
//!
//! Each writer (a sidecar, named by its key) numbers its rows by place and stores them in blocks, one
//! for each transaction. A block names the rows it holds by the digest of their digests, and the
//! block before it by its hash; the writer signs each. Who can write to the database but has not the
//! key can therefore change, add, remove or swap nothing inside the chain unseen. What is left to
//! them is to cut its end off: that is what checkpoints are for, which leave the database.
//!
//! ```text
//! hash(n) = SHA-256("tollgate.block/v1" ‖ writer ‖ n ‖ hash(n-1) ‖ first ‖ last ‖ rows ‖ digest…)
//! ```

use super::writer::Writer;
use contract::envelope::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub type Digest = [u8; 32];

/// Domain of a block's hash, and of what is signed.
const DOMAIN: &[u8] = b"tollgate.block/v1\0";

/// Where a writer's chain ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Place of its last row.
    pub place: i64,
    /// Number of its last block; 0 for none.
    pub block: i64,
    /// Hash of its last block; zeros for none.
    pub hash: Vec<u8>,
    /// Rows in all.
    pub rows: i64,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Who wrote it.
    pub writer: String,
    /// Its number, from 1.
    pub number: i64,
    /// Place of its first row.
    pub first: i64,
    /// Place of its last row.
    pub last: i64,
    /// Rows in it.
    pub rows: i64,
    /// Its hash.
    pub hash: Vec<u8>,
    /// The writer's Ed25519 signature over the hash.
    pub signature: Vec<u8>,
}

impl Head {
    /// The block that holds these rows, by place and digest, behind this head.
    pub fn extend(&self, writer: &Writer, rows: &[(i64, Digest)]) -> Option<(Block, Self)> {
        let (first, last) = (rows.first()?.0, rows.last()?.0);
        let number = self.block.saturating_add(1);
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let digests = rows.iter().map(|(_, digest)| digest.as_slice());
        let block = Block {
            writer: writer.id().to_owned(),
            number,
            first,
            last,
            rows: count,
            hash: Vec::new(),
            signature: Vec::new(),
        };
        let hash = block.hash_over(&self.hash, digests);
        let signature = writer.sign(&hash);
        let rows = self.rows.saturating_add(count);
        let head = Self { place: last, block: number, hash: hash.to_vec(), rows };

        Some((Block { hash: hash.to_vec(), signature, ..block }, head))
    }
}

impl Block {
    /// What its hash must be behind that block and over these rows.
    pub fn hash_over<'a>(
        &self,
        before: &[u8],
        digests: impl IntoIterator<Item = &'a [u8]>,
    ) -> Digest {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(self.writer.as_bytes());
        hash.update([0]);
        hash.update(self.number.to_be_bytes());
        hash.update(if before.is_empty() { &[0; 32] } else { before });
        for number in [self.first, self.last, self.rows] {
            hash.update(number.to_be_bytes());
        }
        for digest in digests {
            hash.update(digest);
        }

        hash.finalize().into()
    }
}

/// Where a writer's chain stood at some time: what leaves the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Who wrote the chain.
    pub writer: String,
    /// Its last block.
    pub block: i64,
    /// Place of its last row.
    pub place: i64,
    /// Rows in all.
    pub rows: i64,
    /// Hash of the last block, hex.
    pub hash: String,
    /// RFC 3339.
    pub at: String,
}

impl Checkpoint {
    /// Of a head.
    pub fn of(writer: &str, head: &Head, at: String) -> Self {
        let hash = hex(&head.hash);

        Self {
            writer: writer.to_owned(),
            block: head.block,
            place: head.place,
            rows: head.rows,
            hash,
            at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Data;

    fn new_writer() -> Writer {
        Writer::of(&Data::new(tempfile::tempdir().unwrap().path())).unwrap()
    }

    #[test]
    fn a_block_names_its_rows_the_block_before_and_its_place() {
        let writer = new_writer();
        let rows = [(1, [1; 32]), (3, [2; 32])];
        let (block, head) = Head::default().extend(&writer, &rows).unwrap();
        let digests = |block: &Block, list: &[[u8; 32]]| {
            block.hash_over(&[], list.iter().map(<[u8; 32]>::as_slice)).to_vec()
        };

        assert_eq!((block.number, block.first, block.last, block.rows), (1, 1, 3, 2));
        assert_eq!(digests(&block, &[[1; 32], [2; 32]]), block.hash);
        assert!(writer.verifies(&block.hash, &block.signature));
        assert_ne!(digests(&block, &[[2; 32], [1; 32]]), block.hash, "swapped");
        assert_ne!(digests(&block, &[[1; 32]]), block.hash, "removed");
        let (next, _) = head.extend(&writer, &[(4, [3; 32])]).unwrap();
        assert_eq!(next.number, 2);
        assert_ne!(next.hash_over(&[], [[3; 32].as_slice()]).to_vec(), next.hash, "behind another");
        assert!(head.extend(&writer, &[]).is_none(), "no rows, no block");
        let other = new_writer();
        assert!(!other.verifies(&block.hash, &block.signature), "another key");
    }
}
