/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of a virtual USB device, shared by the files that make it up: usb_device.c (the whole,
 * and the host's side), usb_control.c (the control pipe), usb_endpoint.c (bulk and interrupt
 * pipes) and usb_faults.c (what a fault script does to their messages).
 */
#ifndef CARDWIRE_VREADER_USB_PARTS_H
#define CARDWIRE_VREADER_USB_PARTS_H

#include "spec/usb.h"
#include "spec/usbip.h"
#include "vreader/usb/usb_device.h"

enum {
	ENDPOINTS_MAX = 3 * PROFILE_INTERFACES_MAX,
};

/* A message on its way to the host. */
struct message {
	struct message *next;
	size_t len;
	size_t sent;
	int64_t due;    /* not before, ns */
	uint32_t again; /* sent so many times more; FAULT_FOREVER: always */
	uint8_t slot;   /* whose answer it is */
	bool no_zlp;    /* full packets are not followed by an empty one */
	bool stall;     /* stands for a stall of the pipe */
	uint8_t data[];
};

struct endpoint {
	uint8_t address;
	uint8_t type; /* USB_ENDPOINT_XFER_ */
	uint16_t packet;
	bool halted;
	size_t interface;
	struct usb_urb *urbs; /* oldest first */
	struct message *messages;
	size_t message_count;
};

struct function {
	struct usb_device *dev;
	struct ccid_device *ccid;
	uint8_t bulk_out; /* address */
	struct endpoint *bulk_in;
	struct endpoint *interrupt_in;
};

struct usb_device {
	struct profile profile;
	struct function functions[PROFILE_INTERFACES_MAX];
	struct endpoint endpoints[ENDPOINTS_MAX];
	size_t endpoint_count;
	uint8_t configuration;
	int64_t now;                 /* of the call being served, ns */
	struct fault_script *faults; /* NULL: none */
	bool gone;
	struct replay *replay;    /* speaks in place of the readers; NULL: none */
	struct usb_urb *controls; /* of the control pipe, oldest first; it runs one at a time */
	bool control_done;        /* the oldest has run and waits for control_due */
	int64_t control_due;      /* ns; CCID_NO_DEADLINE: a script swallowed the answer */
	usb_complete complete;    /* NULL: no host */
	void *complete_ctx;
	struct usb_stats stats;
};

/* Hands the URB back to the host. */
void usb_finish(struct usb_device *dev, struct usb_urb *urb, int32_t status);
/* As after a bus reset: no halted endpoint, no message under way, the readers as plugged in. */
void usb_reset_functions(struct usb_device *dev);

/* A URB of the control pipe: runs its request and hands it back (USB 2.0 §9.3, §9.4). */
void usb_control_submit(struct usb_device *dev, struct usb_urb *urb);
/* Hands back what is due, and runs what waited behind it. */
void usb_control_pump(struct usb_device *dev);

/* NULL: there is none of that address. */
struct endpoint *endpoint_find(struct usb_device *dev, uint8_t address);
/* For the oldest URB, which there is. */
struct usb_urb *endpoint_pop(struct endpoint *ep);
/* Queues a message for the host, not to be sent before due. NULL without memory. */
struct message *endpoint_queue(struct endpoint *ep, const uint8_t *bytes, size_t len, int64_t due);
void endpoint_drop_messages(struct endpoint *ep);
/* Halts it: URBs end with a stall until the host clears that (USB 2.0 §8.4.5). */
void endpoint_stall(struct usb_device *dev, struct endpoint *ep);
/* Moves what can be moved between URBs and the reader. */
void endpoint_pump(struct usb_device *dev, struct endpoint *ep, int64_t now);
/* The same for all endpoints of the i-th interface. */
void endpoint_pump_interface(struct usb_device *dev, size_t interface, int64_t now);
/* When its next message is due, CCID_NO_DEADLINE if nobody waits for one. */
int64_t endpoint_deadline(const struct endpoint *ep);

/* The readers' ways to the host: ctx is the struct function. */
void endpoint_host_bulk_in(void *ctx, uint8_t command, const uint8_t *msg, size_t len);
void endpoint_host_notify(void *ctx);

/* Queues what the device's script makes of a message; msg has room for FAULT_BYTES_MAX more. */
void usb_faulty_bulk_in(struct function *f, uint8_t command, uint8_t *msg, size_t len);
/* Changes a notification in place; its new length, 0: nothing is sent. */
size_t usb_faulty_notification(struct usb_device *dev, uint8_t *packet, size_t len);
/* Changes the answer to a control request in place: len bytes of at most want, with room for
 * FAULT_BYTES_MAX more; sets control_due. Returns its new length, or a negative USBIP_STATUS_. */
int usb_faulty_control(
	struct usb_device *dev, const uint8_t *setup, uint8_t *answer, size_t len, size_t want);

#endif
