/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtual USB device: control pipe, bulk and interrupt endpoints with their packets, short
 * packets, zero-length packets and stalls, around the CCID interfaces of a profile (USB 2.0
 * chapters 5 and 9).
 *
 * The host hands in URBs and gets each back exactly once: through its completion function, from
 * usb_device_unlink(), or freed by usb_device_detach(). One thread serves all devices; the
 * completion function may be called from inside any call here.
 */
#ifndef CARDWIRE_VREADER_USB_DEVICE_H
#define CARDWIRE_VREADER_USB_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vreader/firmware/ccid_device.h"
#include "vreader/firmware/fault.h"
#include "vreader/firmware/profile.h"

/* One transfer, in one block of memory with its data; free() releases it. */
struct usb_urb {
	struct usb_urb *next;
	uint32_t seqnum;   /* the host's name for it */
	uint8_t ep;        /* address, USB_DIR_IN included; of the control pipe 0 or 80h */
	bool zero_packet;  /* OUT of full packets ends with an empty one */
	bool short_not_ok; /* IN: fewer bytes than asked for are an error */
	uint8_t setup[8];  /* control pipe */
	size_t length;     /* bytes of data */
	size_t actual;     /* result: bytes moved */
	int32_t status;    /* result: 0 or a USBIP_STATUS_ value */
	uint8_t data[];
};

/* Counted since the start, for `vreader ctl stats`: URBs that ended. */
struct usb_stats {
	uint64_t control;
	uint64_t bulk_out;
	uint64_t bulk_in;
	uint64_t interrupt;
	uint64_t stalls;
	uint64_t resets;
};

struct usb_device;
struct replay;
typedef void (*usb_complete)(void *ctx, struct usb_urb *urb);

/* The profile is copied. NULL without memory. */
struct usb_device *usb_device_new(const struct profile *profile);
/* One that behaves as recorded (replay.h); the replay is borrowed. */
struct usb_device *usb_device_new_replay(struct replay *replay);
void usb_device_free(struct usb_device *dev);

const struct profile *usb_device_profile(const struct usb_device *dev);
/* The reader behind the i-th interface. */
struct ccid_device *usb_device_ccid(struct usb_device *dev, size_t i);

/* A host takes the device: it is as after a bus reset, configured. */
void usb_device_attach(struct usb_device *dev, usb_complete complete, void *ctx);
/* The host is gone: URBs under way are freed. */
void usb_device_detach(struct usb_device *dev);
bool usb_device_attached(const struct usb_device *dev);

/* Takes the URB over. now: CLOCK_MONOTONIC, ns. */
void usb_device_submit(struct usb_device *dev, struct usb_urb *urb, int64_t now);
/* Takes a URB back before it ended; NULL when it has ended. The caller frees it. */
struct usb_urb *usb_device_unlink(struct usb_device *dev, uint32_t seqnum);

/* Makes the device misbehave; takes the script over. NULL: it behaves. */
void usb_device_set_faults(struct usb_device *dev, struct fault_script *script);
/* A fault script made the device vanish; detaching it ends that. */
bool usb_device_gone(const struct usb_device *dev);

/* To be called when usb_device_deadline() has come. */
void usb_device_run(struct usb_device *dev, int64_t now);
int64_t usb_device_deadline(const struct usb_device *dev);

const struct usb_stats *usb_device_stats(const struct usb_device *dev);

#endif
