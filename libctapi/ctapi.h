/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CT-API (MKT 1.0, part 3: card terminal - application programming interface), for programs that know
 * nothing of PC/SC. What it calls a card terminal is a reader of the PC/SC daemon with its slot.
 *
 * Terminals are numbered by the program. Different terminals may be used by different threads at the
 * same time; one terminal, by one thread at a time.
 */
#ifndef CTAPI_H
#define CTAPI_H

#ifdef __cplusplus
extern "C" {
#endif

#define OK          0      /* done; what the card or the terminal thinks of it is in SW1 SW2 */
#define ERR_INVALID (-1)   /* a parameter is of no use: number, address, length */
#define ERR_CT      (-8)   /* the terminal is not there, or has gone */
#define ERR_TRANS   (-10)  /* no card, or it has been taken out, or does not answer */
#define ERR_MEMORY  (-11)  /* no memory, or the response is longer than the buffer */
#define ERR_HOST    (-127) /* any other error of the host */
#define ERR_HTSI    (-128) /* the PC/SC daemon cannot be reached */

/* Addresses, for sad and dad. */
#define CTAPI_ICC1 0 /* the card */
#define CTAPI_CT   1 /* the terminal: CT-BCS commands */
#define CTAPI_HOST 2 /* the program */

/*
 * Opens a terminal under the number ctn, which must be free. pn: which reader, counted from 1 in the
 * order of SCardListReaders(); 0 is the first one, too. The card is not touched.
 */
signed char CT_init(unsigned short ctn, unsigned short pn);

/*
 * Sends a command of lenc bytes to *dad, and has the response, SW1 SW2 included, written to response.
 * *lenr is the room there, then the length. On return *sad is who answers and *dad the host.
 *
 * A card takes APDUs once REQUEST ICC or RESET CT has activated it. The terminal takes the commands
 * of CT-BCS (MKT 1.0, part 4), CLA 20: RESET CT (11), REQUEST ICC (12), GET STATUS (13), EJECT ICC
 * (15).
 */
signed char CT_data(unsigned short ctn, unsigned char *dad, unsigned char *sad, unsigned short lenc,
	unsigned char *command, unsigned short *lenr, unsigned char *response);

/* Closes the terminal; the card stays as it is for others. */
signed char CT_close(unsigned short ctn);

#ifdef __cplusplus
}
#endif

#endif
