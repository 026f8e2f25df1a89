/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract between the driver and the ways to reach a USB device: port_usbip.c, port_libusb.c;
 * and port_serial.c, whose readers are made to look like USB devices.
 *
 * A `struct port` is one open interface of one device. Transfers are asynchronous; each port has (or
 * shares) one event thread, which calls `done` of the transfers that end.
 *
 * Ownership: a port belongs to who opened it, until port_close(). A transfer and its buffer belong
 * to the caller, who leaves both alone between port_submit() and `done`.
 *
 * Threads: every function may be called from any thread, but port_close() only when no other call
 * runs and no transfer is pending. `done` runs in the event thread, or in the thread that cancels;
 * it may call port_submit(), and nothing else of this header. Callers hold no lock that `done` takes
 * while they call port_cancel(), port_control(), port_clear_halt() or port_reset().
 *
 * Gone: once the device has vanished (unplugged, server dead, connection broken) all pending
 * transfers end with PORT_GONE, and so does everything asked afterwards, at once. A port never
 * comes back; the device is opened anew.
 */
#ifndef CARDWIRE_CCID_PORT_H
#define CARDWIRE_CCID_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum port_status {
	PORT_OK,
	PORT_STALL,     /* the endpoint is halted, or the control request is refused */
	PORT_TIMEOUT,   /* not ended by the deadline (port_control() only) */
	PORT_CANCELLED, /* by port_cancel() */
	PORT_OVERFLOW,  /* the device sent more than fits */
	PORT_ERROR,     /* any other failure of this transfer; the device is still there */
	PORT_GONE,
};

struct port_transfer {
	uint8_t endpoint; /* bEndpointAddress; 0 for control */
	uint8_t *buffer;  /* control: the setup packet, then the data stage */
	size_t length;    /* bytes to send (OUT) or room for (IN); control: with the setup packet */
	size_t actual; /* IN, set before done: bytes received; control: without the setup packet */
	enum port_status status;                      /* set before done */
	void (*done)(struct port_transfer *transfer); /* exactly once for each port_submit() */
	void *owner;                                  /* the caller's */
	bool zero_packet; /* OUT: whole packets are followed by an empty one */
	void *of_port;    /* the port's; NULL before the first submit */
};

struct port;

#define PORT_PLACE_MAX 32 /* bytes, with the end; USB has at most seven tiers */

/* What an implementation provides. All may assume what the functions of the same name document. */
struct port_ops {
	void (*close)(struct port *port);
	enum port_status (*claim)(struct port *port, uint8_t interface, uint8_t alternate);
	void (*unclaim)(struct port *port, uint8_t interface); /* may be NULL; before close() */
	bool (*submit)(struct port *port, struct port_transfer *transfer);
	void (*cancel)(struct port *port, struct port_transfer *transfer);
	void (*release)(struct port *port, struct port_transfer *transfer);
	enum port_status (*clear_halt)(struct port *port, uint8_t endpoint);
	enum port_status (*reset)(struct port *port);
	bool (*take_turn)(struct port *port, int64_t deadline); /* may be NULL, with give_turn */
	void (*give_turn)(struct port *port);
};

/* Base of each implementation's own struct. All members but `ops` may be read by anyone. */
struct port {
	const struct port_ops *ops;
	const uint8_t *device;        /* device descriptor, at least 18 bytes */
	const uint8_t *configuration; /* the active configuration with all that follows it */
	size_t configuration_len;
	int interface; /* bInterfaceNumber the device string names; -1 if it names none */
	uint8_t bus;   /* for SCARD_ATTR_CHANNEL_ID; 0 if unknown */
	uint8_t address;
	char place[PORT_PLACE_MAX]; /* where it is plugged in: "BUS-PORT.PORT"; "" if unknown */
	/* To be set before port_claim(): what a kernel driver has stays its. */
	atomic_bool leave_kernel_driver;
	bool keeps_partial; /* a cancelled IN transfer tells in `actual` what it had brought */
	bool framed;        /* an IN transfer ends with its message, whatever its length */
	void (*gone)(void *owner); /* as given to port_open() */
	void *owner;
};

/*
 * Opens the device a device string names: "usbip:…", "usb:…" or "/…" (see port_usbip.h,
 * port_libusb.h, port_serial.h).
 * NULL after one error line naming the cause; takes at most PORT_OPEN_MS and the time of the first
 * descriptor requests.
 *
 * GONE may be NULL; it is called with OWNER from the event thread when the port itself has noticed
 * that the device is gone, as far as it can without a pending transfer; perhaps before port_open()
 * returns.
 */
struct port *port_open(const char *name, void (*gone)(void *owner), void *owner);

#define PORT_OPEN_MS 2000

/* Closes and frees. No transfer is pending. */
void port_close(struct port *port);

/*
 * Takes the interface for us, in this alternate setting (libusb: a kernel driver is
 * detached, unless leave_kernel_driver, and gets it back when the port is closed).
 * PORT_OK, or why not, after one error line.
 */
enum port_status port_claim(struct port *port, uint8_t interface, uint8_t alternate);

/* Starts a transfer. False: the port is gone, `done` will not be called. Does not wait. */
bool port_submit(struct port *port, struct port_transfer *transfer);

/* Ends a transfer if it is pending: `done` has been called when this returns. */
void port_cancel(struct port *port, struct port_transfer *transfer);

/* Gives back what the port keeps in of_port. The transfer is not pending; may be submitted again. */
void port_release(struct port *port, struct port_transfer *transfer);

/*
 * A control request, start to end. SETUP is the 8-byte setup packet; its wLength bytes of data are
 * read from or written to DATA. *ACTUAL (may be NULL): bytes received.
 */
enum port_status port_control(
	struct port *port, const uint8_t setup[8], uint8_t *data, size_t *actual, int64_t deadline);

/* Ends a halt of an endpoint: CLEAR_FEATURE, data toggles. No transfer is pending on it. */
enum port_status port_clear_halt(struct port *port, uint8_t endpoint);

/*
 * Resets the device's port. The device keeps its configuration; the cards lose their power. Refused
 * with PORT_ERROR while other readers use the same device.
 */
enum port_status port_reset(struct port *port);

/*
 * For devices that can't be spoken to by several of their readers at a time: waits until no other
 * reader of the device has the turn. False: not until the deadline (CLOCK_MONOTONIC ns).
 */
bool port_take_turn(struct port *port, int64_t deadline);
void port_give_turn(struct port *port);

/* A few English words; static. */
const char *port_strstatus(enum port_status status);

#endif
