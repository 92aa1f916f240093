package ra

import (
	"time"

	"certwindow/policy"
)

// DeviceState is where a registered device stands (HCA-4).
type DeviceState string

const (
	DeviceRegistered DeviceState = "registered" // 已登記: known, no key bound yet
	DeviceBound      DeviceState = "bound"      // 已綁定
	DeviceLost       DeviceState = "lost"       // 遺失
	DeviceBroken     DeviceState = "broken"     // 毀損
	DeviceRetired    DeviceState = "retired"    // 已報廢
)

// DeviceEvent is what can happen to a device.
type DeviceEvent string

const (
	DeviceBind   DeviceEvent = "bind"   // the clerk confirmed that both screens show the same code
	DeviceUnbind DeviceEvent = "unbind" // its key is not trusted any more
	DeviceLose   DeviceEvent = "lose"
	DeviceFind   DeviceEvent = "find" // a lost device came back: it must be bound anew
	DeviceBreak  DeviceEvent = "break"
	DeviceRepair DeviceEvent = "repair"
	DeviceRetire DeviceEvent = "retire"
)

var deviceMachine = machine[DeviceState, DeviceEvent]{
	DeviceRegistered: {DeviceBind: DeviceBound, DeviceLose: DeviceLost, DeviceBreak: DeviceBroken, DeviceRetire: DeviceRetired},
	DeviceBound: {DeviceBind: DeviceBound, DeviceUnbind: DeviceRegistered, DeviceLose: DeviceLost, DeviceBreak: DeviceBroken,
		DeviceRetire: DeviceRetired},
	DeviceLost:    {DeviceFind: DeviceRegistered, DeviceRetire: DeviceRetired},
	DeviceBroken:  {DeviceRepair: DeviceRegistered, DeviceLose: DeviceLost, DeviceRetire: DeviceRetired},
	DeviceRetired: {},
}

// NextDevice is the state that follows an event.
func NextDevice(s DeviceState, e DeviceEvent) (DeviceState, error) {
	return deviceMachine.next("device", s, e)
}

// HolderFacts are what the use of a key rests on in the register, read at one moment: the device, seen from its holder,
// the holder's practice, and the app on the device. Of the person they say no more than the rules ask.
type HolderFacts struct {
	Device       DeviceFacts // without CarrierGone, which the inventory asks for
	Active       bool
	Institutions []InstitutionCode // at which the person practises now
	App          AppFacts
}

// AppFacts is which app a device last said to run, and what the window's rules must know of it (HCA-8.2.1).
type AppFacts struct {
	App, Version string
	At           time.Time // when it said so last
	Rule         policy.App
}
