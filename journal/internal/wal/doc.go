// Package wal keeps frames of bytes on disk, in their order, until they are needed
// no more. It stands beneath the journal's database in the place of Pebble's own
// log: a frame is written, and waited for, by the goroutine that has it. Pebble's
// hands each batch to a goroutine that writes and wakes those who wait, and with a
// few sales in a commit these changes of threads cost more than the write.
//
// # Files
//
// Segments, of one size, are written one after the other and over again: a sync
// of blocks that the file owns already has no metadata to write.
//
//	frame …                       from byte 0; each begins at a multiple of 4 KiB
//
//	frame: check:4 size:4 segment:8 number:8 oldest:8 | payload:size | zeros
//
// All numbers are little endian. check is the CRC-32C of what follows it to the end
// of the payload. segment counts up with each segment that is begun, number with
// each frame. oldest is the first segment that was still needed when the frame was
// written; one above its own says that nothing is.
//
// # Invariants
//
//  1. After Sync returned nil every frame that was written before survives any crash.
//  2. At most one frame is written and not yet safe. So a frame that cannot be read
//     and has another behind it was destroyed, not torn by a crash: that is damage
//     and is said, never passed over.
//  3. A segment is written over only when a frame that is safe says that it is not
//     needed. So every segment from oldest of the newest frame on is there, and its
//     numbers follow each other; anything else is damage too.
//  4. A frame of a segment's earlier life is told by its number of the segment.
package wal
