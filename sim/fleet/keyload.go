package fleet

import (
	"context"
	"errors"
	"fmt"
)

// LoadKey downloads a master key and says that it is in: from then on the terminal
// signs in under it.
func (d *Day) LoadKey(ctx context.Context) error {
	if err := d.AskKey(ctx); err != nil {
		return err
	}
	return d.TakeKey(ctx)
}

// AskKey asks for a master key and keeps what comes, without putting it to use. Who
// asks again before TakeKey gets the same one.
func (d *Day) AskKey(ctx context.Context) error { return d.step(ctx, d.t.askKey) }

// TakeKey says that the key is in, and puts it to use.
func (d *Day) TakeKey(ctx context.Context) error { return d.step(ctx, d.t.takeKey) }

// loadKey is both, for a terminal of a fleet that sells; a refusal is one of its
// sign-in, which it stands before.
func (t *terminal) loadKey() error {
	err := t.askKey()
	if err == nil {
		err = t.takeKey()
	}
	var r Refusal
	if errors.As(err, &r) {
		return refused(r.Code)
	}
	return err
}

func (t *terminal) askKey() error {
	transport, err := keyOf(t.cfg.Transport, t.cfg.SM4)
	if err != nil {
		return fmt.Errorf("terminal %s: transport key: %w", t.cfg.Number, err)
	}
	if err := t.manage(0x0800, t.take(), func(m *message) { t.ofKey(m, "380") }); err != nil {
		return err
	}
	f62 := t.view.Field(62)
	if len(f62) != 20 {
		return fmt.Errorf("%w: F62 has %d bytes, not a master key of 16 and its check value of 4", errBadKeys, len(f62))
	}
	key, err := unwrap(transport, t.cfg.SM4, "TMK", f62[:16], f62[16:])
	if err != nil {
		return err
	}
	t.given = key
	return nil
}

func (t *terminal) takeKey() error {
	if err := t.manage(0x0800, t.take(), func(m *message) { t.ofKey(m, "381") }); err != nil {
		return err
	}
	if t.given != nil {
		t.tmk, t.given, t.loaded = t.given, nil, true
		t.setSigned(false)
	}
	return nil
}

// ofKey puts what a message about the master key says. Source: terminals in use,
// F60.1 99 and F62 with the serial number.
func (t *terminal) ofKey(m *message, net string) {
	m.Put(60, t.f60("99", t.batch, net))
	if s := t.cfg.Serial; s != "" {
		m.Put(62, fmt.Appendf(nil, "Sequence No%02d%s", len(s), s))
	}
}
