/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface between the daemon and a reader's driver (IFD handler), version 3 (or 2 if
 * IFDHANDLERv2 is defined before this header is included).
 *
 * A driver is a library that defines the functions below; the daemon calls them. Lun names a
 * slot of an open reader: the reader's number in bits 16..31, the slot's number in bits 0..15.
 * Functions return IFD_SUCCESS or another of the codes below. The daemon makes one call a slot at
 * a time; calls for several slots or readers run side by side if the driver allows it (see
 * TAG_IFD_THREAD_SAFE and TAG_IFD_SLOT_THREAD_SAFE).
 */
#ifndef _ifd_handler_h_
#define _ifd_handler_h_

#include <stdint.h>

#include <pcsclite.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Declarations of PC/SC part 3, which no function here uses. */
typedef struct _DEVICE_CAPABILITIES {
	LPSTR Vendor_Name;
	LPSTR IFD_Type;
	DWORD IFD_Version;
	LPSTR IFD_Serial;
	DWORD IFD_Channel_ID;
	DWORD Asynch_Supported;
	DWORD Default_Clock;
	DWORD Max_Clock;
	DWORD Default_Data_Rate;
	DWORD Max_Data_Rate;
	DWORD Max_IFSD;
	DWORD Synch_Supported;
	DWORD Power_Mgmt;
	DWORD Card_Auth_Devices;
	DWORD User_Auth_Device;
	DWORD Mechanics_Supported;
	DWORD Vendor_Features;
} DEVICE_CAPABILITIES, *PDEVICE_CAPABILITIES;

typedef struct _ICC_STATE {
	UCHAR ICC_Presence;
	UCHAR ICC_Interface_Status;
	UCHAR ATR[MAX_ATR_SIZE];
	UCHAR ICC_Type;
} ICC_STATE, *PICC_STATE;

typedef struct _PROTOCOL_OPTIONS {
	DWORD Protocol_Type;
	DWORD Current_Clock;
	DWORD Current_F;
	DWORD Current_D;
	DWORD Current_N;
	DWORD Current_W;
	DWORD Current_IFSC;
	DWORD Current_IFSD;
	DWORD Current_BWT;
	DWORD Current_CWT;
	DWORD Current_EBC;
} PROTOCOL_OPTIONS, *PPROTOCOL_OPTIONS;

/* Protocol control information of IFDHTransmitToICC(). */
typedef struct _SCARD_IO_HEADER {
	DWORD Protocol; /* 0: T=0, 1: T=1, SCARD_PROTOCOL_RAW */
	DWORD Length;   /* length of this struct in bytes */
} SCARD_IO_HEADER, *PSCARD_IO_HEADER;

#ifndef RESPONSECODE_DEFINED_IN_WINTYPES_H
typedef long RESPONSECODE;
#endif

/* Tags of IFDHGetCapabilities() and IFDHSetCapabilities(). */
#define TAG_IFD_ATR                 0x0303 /* the card's ATR */
#define TAG_IFD_SLOTNUM             0x0180
#define TAG_IFD_SLOT_THREAD_SAFE    0x0FAC /* 1 byte: 1 if slots of one reader may be called at once */
#define TAG_IFD_THREAD_SAFE         0x0FAD /* 1 byte: 1 if readers may be called at once */
#define TAG_IFD_SLOTS_NUMBER        0x0FAE /* 1 byte: slots of the reader */
#define TAG_IFD_SIMULTANEOUS_ACCESS 0x0FAF /* 1 byte: readers the driver can hold open */
#define TAG_IFD_POLLING_THREAD      0x0FB0 /* not used */
#define TAG_IFD_POLLING_THREAD_KILLABLE                                                            \
	0x0FB1                             /* 1 byte: 1 if the polling thread may be cancelled */
#define TAG_IFD_STOP_POLLING_THREAD 0x0FB2 /* pointer: RESPONSECODE stop(DWORD Lun) */
#define TAG_IFD_POLLING_THREAD_WITH_TIMEOUT                                                        \
	0x0FB3                        /* pointer: RESPONSECODE poll(DWORD Lun, int ms) */
#define TAG_IFD_DEVICE_REMOVED 0x0FB4 /* 1 byte: 1 if the driver wants to be told; set: 1 */

/*
 * Cardwire's own tag; drivers that don't know it answer IFD_ERROR_TAG. IFDHGetCapabilities(): 1 byte,
 * 1 if the driver can abort. IFDHSetCapabilities(), which may then be called from any thread while
 * another call runs on the Lun: that call returns with an error as soon as the reader lets it.
 */
#define TAG_IFD_CARDWIRE_ABORT 0x0FC0

/*
 * Likewise. IFDHGetCapabilities(): 1 byte, 1 if the driver wants to know who sends control codes.
 * IFDHSetCapabilities(), before IFDHControl(): the client's user ID, 4 bytes in the machine's order.
 */
#define TAG_IFD_CARDWIRE_CLIENT 0x0FC1

/* Likewise. IFDHGetCapabilities(): 1 byte, 1 if the slot is known to be for contactless cards. */
#define TAG_IFD_CARDWIRE_CONTACTLESS 0x0FC2

/*
 * Likewise. IFDHGetCapabilities(): the name that the reader shall have in place of what it says of
 * itself, UTF-8 without an end; length 0 if there is none.
 */
#define TAG_IFD_CARDWIRE_NAME 0x0FC3

/* Versions of this interface. */
#define IFD_HVERSION_1_0 0x00010000
#define IFD_HVERSION_2_0 0x00020000
#define IFD_HVERSION_3_0 0x00030000

/* Actions of IFDHPowerICC(). */
#define IFD_POWER_UP   500 /* cold reset if it is not powered */
#define IFD_POWER_DOWN 501
#define IFD_RESET      502 /* warm reset */

/* Flags of IFDHSetProtocolParameters(): which of PTS1, PTS2, PTS3 hold a value. */
#define IFD_NEGOTIATE_PTS1 1
#define IFD_NEGOTIATE_PTS2 2
#define IFD_NEGOTIATE_PTS3 4

/* Return codes. */
#define IFD_SUCCESS                   0
#define IFD_ERROR_TAG                 600 /* tag not known */
#define IFD_ERROR_SET_FAILURE         601
#define IFD_ERROR_VALUE_READ_ONLY     602
#define IFD_ERROR_PTS_FAILURE         605 /* the negotiation failed */
#define IFD_ERROR_NOT_SUPPORTED       606
#define IFD_PROTOCOL_NOT_SUPPORTED    607
#define IFD_ERROR_POWER_ACTION        608 /* power action failed */
#define IFD_ERROR_SWALLOW             609
#define IFD_ERROR_EJECT               610
#define IFD_ERROR_CONFISCATE          611
#define IFD_COMMUNICATION_ERROR       612
#define IFD_RESPONSE_TIMEOUT          613
#define IFD_NOT_SUPPORTED             614
#define IFD_ICC_PRESENT               615
#define IFD_ICC_NOT_PRESENT           616
#define IFD_NO_SUCH_DEVICE            617 /* the reader is gone for good */
#define IFD_ERROR_INSUFFICIENT_BUFFER 618

#ifndef IFDHANDLERv2

/* Opens the slot Lun of the reader DeviceName: a path, or "usb:vvvv/pppp:…" from hot-plug. */
RESPONSECODE IFDHCreateChannelByName(DWORD Lun, LPSTR DeviceName);

/* A command to the reader itself. RxLength and *pdwBytesReturned are in bytes. */
RESPONSECODE IFDHControl(DWORD Lun, DWORD dwControlCode, PUCHAR TxBuffer, DWORD TxLength,
	PUCHAR RxBuffer, DWORD RxLength, LPDWORD pdwBytesReturned);

#else

/* A command to the reader itself. *RxLength: room in, bytes returned out. */
RESPONSECODE IFDHControl(
	DWORD Lun, PUCHAR TxBuffer, DWORD TxLength, PUCHAR RxBuffer, PDWORD RxLength);

#endif

/* Opens the slot Lun of the reader on channel number Channel (of reader.conf). */
RESPONSECODE IFDHCreateChannel(DWORD Lun, DWORD Channel);

/* Closes it. */
RESPONSECODE IFDHCloseChannel(DWORD Lun);

/* Reads a property. *Length: room in, length out. */
RESPONSECODE IFDHGetCapabilities(DWORD Lun, DWORD Tag, PDWORD Length, PUCHAR Value);

/* Writes a property. */
RESPONSECODE IFDHSetCapabilities(DWORD Lun, DWORD Tag, DWORD Length, PUCHAR Value);

/* Chooses the protocol (SCARD_PROTOCOL_T0 or _T1) and, if Flags say so, its PPS bytes. */
RESPONSECODE IFDHSetProtocolParameters(
	DWORD Lun, DWORD Protocol, UCHAR Flags, UCHAR PTS1, UCHAR PTS2, UCHAR PTS3);

/* Powers the card up or down, or resets it. Atr has room for *AtrLength bytes (MAX_ATR_SIZE). */
RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, PUCHAR Atr, PDWORD AtrLength);

/* Sends an APDU and waits for the answer. *RxLength: room in, length of the answer out. */
RESPONSECODE IFDHTransmitToICC(DWORD Lun, SCARD_IO_HEADER SendPci, PUCHAR TxBuffer, DWORD TxLength,
	PUCHAR RxBuffer, PDWORD RxLength, PSCARD_IO_HEADER RecvPci);

/* IFD_ICC_PRESENT, IFD_ICC_NOT_PRESENT, IFD_NO_SUCH_DEVICE or a failure. */
RESPONSECODE IFDHICCPresence(DWORD Lun);

/*
 * Cardwire's own, optional: what passed between the driver and a device, as text (recording/entry.h
 * in the sources). DeviceName is as in IFDHCreateChannelByName(), of a device that is open or was.
 * *Position: 0 for all that is kept, UINT64_MAX for what tells what device it is and then only what
 * comes; it is moved on. Waits up to Timeout ms until there is something. *Length: room in Text,
 * 256 KiB at least; length out, no NUL. Any thread; outlives no library.
 *
 * IFD_SUCCESS; IFD_ICC_NOT_PRESENT: the device is gone, there will be no more;
 * IFD_NO_SUCH_DEVICE; IFD_ERROR_INSUFFICIENT_BUFFER.
 *
 * Without DeviceName: one line "live NAME" or "gone NAME" for each recording, the latest first.
 */
RESPONSECODE IFDHCardwireRecording(
	LPCSTR DeviceName, uint64_t *Position, int Timeout, char *Text, PDWORD Length);

#ifdef __cplusplus
}
#endif

#endif
