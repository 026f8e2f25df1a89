/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_PCSCD_DRIVER_H
#define CARDWIRE_PCSCD_DRIVER_H

/*
 * IFD handlers: loading a driver's library and calling it.
 *
 * A `struct driver` is one loaded library, shared by all that name the same file and counted; a
 * `struct channel` is one open Lun of it. The library stays loaded while a channel is open or a
 * reference is held, and DRIVER_LINGER_S longer: a device that is tried again and again doesn't
 * load it each time, and one that is plugged in later gets the library that is installed then.
 *
 * Threads: every function may be called from any thread. Calls are serialised here as the driver
 * needs it: a driver that isn't thread safe (TAG_IFD_THREAD_SAFE) has one lane for all its
 * channels, one whose slots are not (TAG_IFD_SLOT_THREAD_SAFE) has one lane a device. Outside the
 * lanes are driver_poll(), driver_stop_poll(), driver_set_capability(), driver_abort() and
 * driver_device_removed(), which exist to be called while another call runs. Per channel the
 * caller makes sure of one ordinary call at a time (the slot's turn), and that no call is running
 * when it closes the channel.
 *
 * Results are RESPONSECODE values of <ifdhandler.h>: IFD_SUCCESS, IFD_COMMUNICATION_ERROR, … A
 * driver that returns more bytes than it was given room for is answered for with
 * IFD_COMMUNICATION_ERROR and one error line.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ifdhandler.h>

#define DRIVER_LINGER_S           60
#define DRIVER_RECORDING_LINGER_S 3600 /* of one that keeps recordings */

struct driver;
struct channel;

/*
 * Loads the library at `path`, or takes another reference to it if it is loaded. `origin` says
 * in messages who wants it ("file:line" or "usb 1-3:1.0"). NULL, after one error line that names
 * the cause, if it is no library, lacks a mandatory entry point, or is neither of IFD handler
 * version 2 nor 3.
 */
struct driver *driver_load(const char *path, const char *origin);

/* Another reference to `driver`; returns it. */
struct driver *driver_ref(struct driver *driver);

/* Gives one reference back. NULL is allowed. */
void driver_unref(struct driver *driver);

/* Unloads all libraries that have no reference any more, without lingering. */
void driver_unload_idle(void);

/* The path it was loaded from; valid as long as a reference is held. */
const char *driver_path(const struct driver *driver);

/* 2 or 3: the IFD handler version. */
int driver_version(const struct driver *driver);

/*
 * Opens a device as `lun`. `device` non-NULL: IFDHCreateChannelByName (a version 2 driver gets
 * IFDHCreateChannel with `number`), otherwise IFDHCreateChannel with `number`. After it the driver
 * is asked for what the calls outside the lanes need: poll and stop functions, abort support, and
 * whether it wants to be told of an unplugged device; with its first channel also whether it is
 * thread safe.
 * IFD_SUCCESS: *channel is open, and holds a reference to the driver.
 */
RESPONSECODE driver_open(struct driver *driver, DWORD lun, const char *device, DWORD number,
	struct channel **channel);

/*
 * Opens a further slot, `lun`, of the device that `first` is slot 0 of; device and number are
 * the same. Before it `first` is asked whether its slots are thread safe. Opening waits for the
 * lane of `first` if they are not.
 */
RESPONSECODE driver_open_slot(struct channel *first, DWORD lun, struct channel **channel);

/* Closes the channel and frees it, whatever the driver answers. NULL is allowed. */
void driver_close(struct channel *channel);

/* The Lun, the device string (NULL if opened by number) and the driver of a channel. */
DWORD driver_lun(const struct channel *channel);
const char *driver_device(const struct channel *channel);
struct driver *driver_of(const struct channel *channel);

/* Names the channel in the log of APDUs. `name` is copied. Until then it is "Lun N". */
void driver_set_name(struct channel *channel, const char *name);

/* IFDHICCPresence: IFD_ICC_PRESENT or IFD_ICC_NOT_PRESENT; IFD_SUCCESS becomes the former. */
RESPONSECODE driver_presence(struct channel *channel);

/*
 * IFDHPowerICC with IFD_POWER_UP, IFD_POWER_DOWN or IFD_RESET. `atr` has room for MAX_ATR_SIZE
 * bytes; *atr_length is the number the card sent, 0 if the call failed or after IFD_POWER_DOWN.
 */
RESPONSECODE driver_power(
	struct channel *channel, DWORD action, uint8_t atr[MAX_ATR_SIZE], size_t *atr_length);

/*
 * IFDHSetProtocolParameters for SCARD_PROTOCOL_T0 or SCARD_PROTOCOL_T1, without values of our own
 * (the driver chooses them). IFD_NOT_SUPPORTED if the driver hasn't the entry point.
 */
RESPONSECODE driver_set_protocol(struct channel *channel, DWORD protocol);

/*
 * IFDHTransmitToICC. `protocol` is the number in the header handed to the driver: 0 (T=0), 1 (T=1),
 * or SCARD_PROTOCOL_RAW. *rx_length: room for the answer in, its length out (0 if the call failed).
 * The exchange is logged in the APDU category.
 */
RESPONSECODE driver_transmit(struct channel *channel, DWORD protocol, const uint8_t *tx,
	size_t tx_length, uint8_t *rx, size_t *rx_length);

/*
 * IFDHControl, version 2 (which has no control code: it is dropped) or 3. *rx_length: room in,
 * bytes returned out (0 if the call failed).
 */
RESPONSECODE driver_control(struct channel *channel, DWORD code, const uint8_t *tx,
	size_t tx_length, uint8_t *rx, size_t *rx_length);

/* IFDHGetCapabilities. *length: room in, length out (0 if the call failed). */
RESPONSECODE driver_get_capability(struct channel *channel, DWORD tag, void *value, size_t *length);

/* The same for tags of one byte: its value, or `fallback` if the driver doesn't know the tag. */
unsigned driver_get_byte(struct channel *channel, DWORD tag, unsigned fallback);

/* IFDHSetCapabilities; outside the lane. */
RESPONSECODE driver_set_capability(
	struct channel *channel, DWORD tag, const void *value, size_t length);

/*
 * The driver's poll function: returns at a change of the card or after `timeout_ms`; outside the
 * lane. driver_can_poll() says whether there is one.
 */
bool driver_can_poll(const struct channel *channel);
RESPONSECODE driver_poll(struct channel *channel, int timeout_ms);

/*
 * Makes a running or the next driver_poll() of the channel return early (the function behind
 * TAG_IFD_STOP_POLLING_THREAD). IFD_NOT_SUPPORTED if the driver has none.
 */
RESPONSECODE driver_stop_poll(struct channel *channel);

/*
 * Aborts the exchange that runs on the channel, which then returns with an error at once; harmless
 * if none runs. IFD_NOT_SUPPORTED unless driver_can_abort() (TAG_IFD_CARDWIRE_ABORT).
 */
bool driver_can_abort(const struct channel *channel);
RESPONSECODE driver_abort(struct channel *channel);

/* Tells the driver whose control code comes next (TAG_IFD_CARDWIRE_CLIENT), if it wants to know. */
void driver_set_client(struct channel *channel, uid_t user);

/*
 * The loaded libraries that record what passes between them and their readers, at most `room`; each
 * with a reference for the caller. Returns how many.
 */
size_t driver_recorders(struct driver **drivers, size_t room);

/*
 * IFDHCardwireRecording of such a library: outside the lanes, from any thread. *length: room in
 * (DRIVER_RECORDING_ROOM at least), length out.
 */
RESPONSECODE driver_recording(struct driver *driver, const char *device, uint64_t *position,
	int timeout_ms, char *text, size_t *length);

#define DRIVER_RECORDING_ROOM ((size_t)256 << 10)

/* Tells the driver that the device is off the bus (TAG_IFD_DEVICE_REMOVED), if it knows it. */
void driver_device_removed(struct channel *channel);

#endif
