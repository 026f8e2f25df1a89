/* SPDX-License-Identifier: BSD-3-Clause */
/* The USB readers of the machine that pcscctl doctor looks at, from its sysfs. */
#ifndef CARDWIRE_TOOLS_DOCTOR_USB_H
#define CARDWIRE_TOOLS_DOCTOR_USB_H

#include "tools/doctor_checks.h"

/* An interface of class 0Bh (CCID 1.1 §4.3.1), or of class FFh of a device that udev's rule marks. */
struct doctor_reader {
	char place[64];  /* of the interface in the kernel, "1-3:1.0" */
	char name[128];  /* the product's, or its numbers */
	char node[64];   /* of the device, below the root: "/dev/bus/usb/001/004" */
	char driver[64]; /* of the kernel, that has the interface; "usbfs": a process; "" */
	bool nfc;        /* the driver is one of the kernel's for NFC */
};

/* Calls `each` for every reader. Returns their number; -1: there is no sysfs of USB. */
int doctor_each_reader(struct doctor *doctor,
	void (*each)(struct doctor *doctor, const struct doctor_reader *reader));

#endif
