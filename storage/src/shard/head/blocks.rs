//! Bytes of many columns in one pool: chains of small blocks.
//!
//! A column grows by one block at a time and nothing is ever moved, so a point costs no allocation; the whole pool goes
//! at once, with its head.

/// Bytes of a block that hold data; the number of the next block follows.
const DATA_BYTES: usize = 28;
const BLOCKS_PER_PAGE: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Block {
    data: [u8; DATA_BYTES],
    next: u32,
}

/// A pool of blocks.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pages: Vec<Box<[Block]>>,
    used: u32,
}

/// One chain of bytes in a pool. Beside it goes how many bytes of the last block are used, which would be padded to four
/// bytes here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    first: u32,
    last: u32,
}

impl Blocks {
    /// An empty chain.
    pub(super) fn chain(&mut self) -> Chain {
        let block = self.take();
        Chain { first: block, last: block }
    }

    fn take(&mut self) -> u32 {
        if self.used as usize == self.pages.len() * BLOCKS_PER_PAGE {
            let block = Block { data: [0; DATA_BYTES], next: 0 };
            self.pages.push(vec![block; BLOCKS_PER_PAGE].into_boxed_slice());
        }
        self.used += 1;
        self.used - 1
    }

    fn block(&self, number: u32) -> &Block {
        &self.pages[number as usize / BLOCKS_PER_PAGE][number as usize % BLOCKS_PER_PAGE]
    }

    fn block_mut(&mut self, number: u32) -> &mut Block {
        &mut self.pages[number as usize / BLOCKS_PER_PAGE][number as usize % BLOCKS_PER_PAGE]
    }

    /// Adds bytes at the end of a chain, of whose last block `in_use` bytes are used: 0 at the beginning.
    pub(super) fn append(&mut self, chain: &mut Chain, in_use: &mut u8, mut bytes: &[u8]) {
        loop {
            let used = usize::from(*in_use);
            let fits = bytes.len().min(DATA_BYTES - used);
            let (now, later) = bytes.split_at(fits);
            let block = self.block_mut(chain.last);
            block.data[used..used + fits].copy_from_slice(now);
            *in_use += fits as u8;
            if later.is_empty() {
                return;
            }
            let next = self.take();
            self.block_mut(chain.last).next = next;
            (chain.last, *in_use, bytes) = (next, 0, later);
        }
    }

    /// Reads a chain from its beginning.
    pub(super) fn read(&self, chain: Chain, in_use: u8) -> Reader<'_> {
        Reader { blocks: self, chain, in_use, block: self.block(chain.first), number: chain.first, at: 0 }
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.pages.len() * (BLOCKS_PER_PAGE * size_of::<Block>() + size_of::<Box<[Block]>>())
    }
}

/// A position in a chain.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    blocks: &'a Blocks,
    chain: Chain,
    in_use: u8,
    block: &'a Block,
    number: u32,
    at: usize,
}

impl Reader<'_> {
    /// The next byte; `None` at the end.
    pub(super) fn byte(&mut self) -> Option<u8> {
        if self.number == self.chain.last {
            if self.at >= usize::from(self.in_use) {
                return None;
            }
        } else if self.at == DATA_BYTES {
            self.number = self.block.next;
            self.block = self.blocks.block(self.number);
            self.at = 0;
            return self.byte();
        }
        self.at += 1;
        Some(self.block.data[self.at - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chains_hold_what_was_appended(appends in prop::collection::vec((0usize..5, prop::collection::vec(any::<u8>(), 0..80)), 0..200)) {
            let mut blocks = Blocks::default();
            let mut chains: Vec<_> = (0..5).map(|_| (blocks.chain(), 0, Vec::new())).collect();
            for (n, bytes) in appends {
                let (chain, used, model) = &mut chains[n];
                blocks.append(chain, used, &bytes);
                model.extend_from_slice(&bytes);
            }
            for (chain, used, model) in chains {
                let mut reader = blocks.read(chain, used);
                let read: Vec<u8> = std::iter::from_fn(|| reader.byte()).collect();
                prop_assert_eq!(read, model);
            }
        }
    }
}
