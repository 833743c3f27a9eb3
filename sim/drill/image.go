package drill

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is what the switch's data lie on.
type disk interface {
	dir() string
	// cut cuts the power. die ends the switch, which has no power either; after
	// cut, dir is what a new start finds.
	cut(die func()) error
	// proved is an error when the cuts lost nothing, and so proved nothing.
	proved() error
	close() error
}

// newDisk makes a folder, or an image when its power is to be cut.
func newDisk(o *Options) (disk, error) {
	if o.Cuts == 0 {
		return folder(o.Dir), nil
	}
	return newImage(filepath.Join(o.Dir, "disk"))
}

// folder is a disk whose power stays on.
type folder string

func (f folder) dir() string { return string(f) }
func (folder) cut(func()) error {
	return errors.New("drill: the power of a plain folder cannot be cut")
}
func (folder) proved() error { return nil }
func (folder) close() error  { return nil }

// image is an ext4 file system in a file, mounted by a loop device.
//
// At a cut the file system is shut down by its own ioctl, which was made to test
// this: from then on no write reaches the image, and neither dirty pages nor its
// journal are written out, so what was not synced is not there. Nothing waits
// for the switch: it meets the cut in whatever it does, and is killed a moment
// later. The image is then copied, and the copy is mounted, which replays the
// journal of ext4 as after a real cut. What a disk's own cache may lose of
// writes that ext4 made and did not flush is not modelled: a loop device keeps
// them.
type image struct {
	base  string // folder of images and of the mount point
	count int    // of images so far
	shut  bool   // it is shut down, or not mounted

	marked, lost int // unsynced marks that were made, and those that the cuts took
}

const (
	imageSize = 4 << 30 // of a sparse file: what is not written takes no room

	// of linux/fs/ext4/ext4.h, which x/sys/unix lacks: _IOR('X', 125, __u32).
	ext4Shutdown   = 0x8004587D
	shutNoLogFlush = 2
)

func newImage(base string) (*image, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("断电演练须以 root 运行（挂载 ext4 映像）· power cuts need root, to mount an ext4 image")
	}
	m := &image{base: base, shut: true}
	if err := os.MkdirAll(m.dir(), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(m.file(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(imageSize), f.Close()); err != nil {
		return nil, err
	}
	if err := tool("mkfs.ext4", "-q", "-F", m.file()); err != nil {
		return nil, err
	}
	return m, m.mount()
}

func (m *image) dir() string  { return filepath.Join(m.base, "mnt") }
func (m *image) file() string { return filepath.Join(m.base, fmt.Sprintf("%d.img", m.count)) }
func (m *image) mark(name string) string {
	return filepath.Join(m.dir(), fmt.Sprintf("%s-%d", name, m.count))
}

func (m *image) mount() error {
	err := tool("mount", "-t", "ext4", "-o", "loop,noatime", m.file(), m.dir())
	m.shut = err != nil
	return err
}

func (m *image) cut(die func()) error {
	kept, lost := m.mark("synced"), m.mark("unsynced")
	if err := errors.Join(write(kept, true), write(lost, false)); err != nil {
		return err
	}
	err := m.shutdown()
	die()
	if err != nil {
		return err
	}
	old := m.file()
	m.count++
	if err := copySparse(m.file(), old); err != nil {
		return err
	}
	if err := errors.Join(tool("umount", m.dir()), os.Remove(old), m.mount()); err != nil {
		return err
	}
	m.marked++
	if b, err := os.ReadFile(kept); err != nil || string(b) != filepath.Base(kept) {
		return fmt.Errorf("drill: what was synced before power cut %d holds %q: %v", m.count, b, err)
	}
	if b, err := os.ReadFile(lost); err != nil || len(b) == 0 {
		m.lost++
	}
	return nil
}

// write makes a file that holds its own name, so that a cut can be seen to take
// what was not synced, and nothing else.
func write(path string, sync bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteString(filepath.Base(path))
	if sync {
		err = errors.Join(err, f.Sync())
		d, e := os.Open(filepath.Dir(path))
		if err = errors.Join(err, e); e == nil {
			err = errors.Join(err, d.Sync(), d.Close())
		}
	}
	return errors.Join(err, f.Close())
}

func (m *image) shutdown() error {
	d, err := os.Open(m.dir())
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.IoctlSetPointerInt(int(d.Fd()), ext4Shutdown, shutNoLogFlush); err != nil {
		return fmt.Errorf("drill: ext4 cannot be shut down: %w", err)
	}
	return nil
}

func (m *image) proved() error {
	if m.marked > 0 && m.lost == 0 {
		return fmt.Errorf("drill: %d power cuts lost nothing that was not synced: they were none", m.marked)
	}
	return nil
}

func (m *image) close() error {
	if m.shut {
		return nil
	}
	m.shut = true
	return tool("umount", m.dir())
}

// tool runs a program of the system.
func tool(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

// copySparse copies a file and leaves its holes holes.
func copySparse(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); ; {
		at, err = unix.Seek(int(in.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // only a hole is left
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(int(in.Fd()), at, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(out, at), io.NewSectionReader(in, at, end-at)); err != nil {
			return err
		}
		at = end
	}
}
