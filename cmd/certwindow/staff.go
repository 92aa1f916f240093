package main

import (
	"context"
	"fmt"

	"certwindow/cmd/certwindow/window"
	"certwindow/web/session"
)

// cmdStaffCreate makes the first window administrator, and works only while there is no account.
func cmdStaffCreate(ctx context.Context, args []string, s streams) int {
	f := newOperatorFlags("staff create", s)
	account := f.String("account", "", "the account's name")
	name := f.String("name", "", "the person's name")
	w, code := f.open(ctx, args)
	if w == nil {
		return code
	}
	defer w.Close()
	cred, err := w.Accounts.CreateFirstAdmin(ctx, window.Operator("staff create"), *account, *name)
	if err != nil {
		return f.fail(err)
	}
	f.credentials(cred)
	return exitYes
}

// credentials shows them once, on the terminal of the operator; an initial password must be changed at the first login.
func (f operatorFlags) credentials(cred session.Credentials) {
	f.result(map[string]string{"account": cred.Account, "password": cred.Password.Reveal(), "totp": cred.TOTP.Reveal(), "url": cred.URL.Reveal()}, func() {
		fmt.Fprintf(f.s.out, "account:  %s\n", cred.Account)
		if p := cred.Password.Reveal(); p != "" {
			fmt.Fprintf(f.s.out, "password: %s (must be changed at the first login)\n", p)
		}
		fmt.Fprintf(f.s.out, "TOTP:     %s\n          %s\n", cred.TOTP.Reveal(), cred.URL.Reveal())
	})
}

// cmdStaffCode shows the half of the first approver's credentials that the administrator who made him may not see.
func cmdStaffCode(ctx context.Context, args []string, s streams) int {
	f := newOperatorFlags("staff code", s)
	account := f.String("account", "", "the account's name")
	w, code := f.open(ctx, args)
	if w == nil {
		return code
	}
	defer w.Close()
	actor := window.Operator("staff code")
	who, err := w.Accounts.Named(ctx, actor, *account)
	if err != nil {
		return f.fail(err)
	}
	cred, err := w.Accounts.Take(ctx, actor, who.ID, session.CodeHalf, "")
	if err != nil {
		return f.fail(err)
	}
	f.credentials(cred)
	return exitYes
}

// cmdStaffReopen is for a window that has lost all its approvers: an administrator may make one more alone.
func cmdStaffReopen(ctx context.Context, args []string, s streams) int {
	f := newOperatorFlags("staff reopen", s)
	w, code := f.open(ctx, args)
	if w == nil {
		return code
	}
	defer w.Close()
	if err := w.Accounts.ReopenFirstApprover(ctx, window.Operator("staff reopen")); err != nil {
		return f.fail(err)
	}
	f.result(map[string]bool{"reopened": true}, func() {
		fmt.Fprintln(s.out, "an administrator can make one approver of the whole window now; hand over the secret with certwindow staff code")
	})
	return exitYes
}
