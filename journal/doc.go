// Package journal keeps the truth of one shard on disk: what was asked, how it
// ended, what is owed. It is one Pebble database with a log of our own beneath it
// (journal/internal/wal, folder log), and one batch and one sync for each tick of the
// shard, whatever the number of transactions in it.
//
// # Keys
//
// Every key begins with a letter and the shard. Numbers in keys are big endian,
// so that key order is time order; numbers in values are little endian.
//
//	'E' shard epoch:4     keys:152 limit:8 segment:8 check:16   one for each Open
//	'T' shard tick:8      sealed(FF turn:8 record …)    the records of a tick, and when its turn was
//	'T' shard tick:8 'M'  sealed(from:8 next:8)         a recovery point; the newest counts
//	'U' shard key…        sealed(plain)                 what Put wrote
//	'P' shard             lsn:8 id:8                    older records are gone (Purge)
//
// and in the folder index, which may be removed while nothing runs:
//
//	'B' shard bits:2 lsn:8  at:8 (print:8 lsn:8) …     a block: fingerprints, sorted, with their newest
//	                                                    record; those of the records up to lsn, none
//	                                                    later than at, that begin with the ten bits
//	'N' shard             lsn:8 at:8                    how far the index is
//
// # A sealed value
//
//	epoch:4 count:8 | ciphertext … | tag:16             AES-256-GCM
//	└── the nonce ─┘                                    associated data: the key
//
// # An epoch's keys
//
//	master:8 salt:32 | sealed(key:32 checkkey:32 names:32) | tag:16     keyfile.Ring.Wrap
//
// The key and the key of the check are drawn by each Open and lie under a master
// key, whose check value stands first. Another master key is therefore nothing but
// other epochs: Open seals those that lie under an earlier one anew under the newest,
// in the batch that begins its own epoch, and from then on nothing needs the
// earlier file. Names is the secret of what stands for card numbers; it is drawn
// once and goes along, so that tokens stay the same. Segment is the log's, with which
// the epoch began: a log that ends before it has lost files. Epochs without one are from
// when Pebble kept the log, which Open still reads; those of 56 bytes
// (salt:32 limit:8 check:16) are older yet: their keys are derived by HKDF from a
// master key that they do not name.
//
// # A record
//
//	kind:1 bodylen:2 | facts | body …
//
//	facts: version:1 = 2  length:1 (of all facts)  has:2
//	       id:8 at:8 kind:1 code:2 result:1 mti:2 proc:3 of:1 trace:3 line:1
//	       link:2 currency:3 cond:1 entry:2
//	       and by the bits of has, from the lowest, what is not zero:
//	       orig:8, sent:8 or sent-at:4, amount:8 or :4, merchant:15 or 15 digits:8,
//	       terminal:8 or 8 digits:4, panlen:1 pan:(n+1)/2, batch:4,
//	       expiry:2 cardseq:2, auth:6, settle:2
//
//	facts: version:1 = 1, in journals from before; 113 bytes
//	       id:8 orig:8 at:8 sent:8 amount:8
//	       merchant:15 terminal:8 panlen:1 pan:10
//	       kind:1 code:2 result:1 mti:2 proc:3 of:1 trace:3 line:1 batch:4
//	       expiry:2 entry:2 cardseq:2 cond:1 link:2
//	       auth:6 currency:3 settle:2
//
// The body of an owing record: version:1 = 1 | what:1 form:1 link:2 offers:2 | code:2
//
// A tick of more than 64 KiB is cut into several values with consecutive tick
// numbers, all in the same batch: reading one record never unseals more.
//
// # Invariants
//
//  1. After Sync returned nil, everything that was staged before Commit survives
//     any crash; without it, the batch is there as a whole or not at all.
//  2. A nonce is never used twice under a key. Each Open draws a fresh key and
//     has it on disk, sealed, before the first Seal; under that key the count
//     only grows, and another master key does not touch it. Neither a crash nor a restored backup
//     nor a second database with the same key file can repeat one.
//  3. A tick number is never used twice, not even when the tick was lost. Ticks
//     are drawn from blocks whose end is on disk before the first of the block
//     is used; Open begins at that end. So an LSN that was seen anywhere means
//     that record or nothing.
//  4. The index may be behind but is never wrong: what it lacks is in memory
//     (Find looks there first), and Open writes what a crash left out.
//  5. Nothing is in a table that is not safe in the log. After a crash Open does all
//     again that the log holds, in its order; what a table has of it already comes out
//     the same, since batches set, delete and delete ranges and nothing else.
//  6. The first error of the disk is the last thing this Log does. A batch whose
//     sync failed is in doubt, neither there nor gone; only a new Open can tell.
//     Every later call gives the same error and touches nothing.
package journal
