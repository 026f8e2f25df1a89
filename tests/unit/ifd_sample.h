/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CARDWIRE_TESTS_UNIT_IFD_SAMPLE_H
#define CARDWIRE_TESTS_UNIT_IFD_SAMPLE_H

/* What the test reads out of the sample drivers, and tells them (symbol sample_record). */

#define SAMPLE_NO_DEVICE 77         /* a channel number that opens nothing */
#define SAMPLE_LIE       0x42000001 /* a control code answered with too great a length */

struct sample_record {
	char calls[2048]; /* one line a call: "name lun" */
	unsigned long channel;
	unsigned long power_room;
	unsigned long set_tag;
	unsigned long set_length;
	int polled;
	int stopped;
	int together;    /* IFDHTransmitToICC waits until so many calls of it are inside at once, */
	int patience_ms; /* so long at most */
	int inside;
	int most_inside;
};

#endif
