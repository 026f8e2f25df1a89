/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All properties that a quirk file can set: the one table from which struct quirk_set, the parser,
 * pcscctl and the man page quirks(5) are made. No include guard: include it with QUIRK() defined.
 *
 * QUIRK(ID, field, KIND, "name", low, high, "unit or words", "meaning", "the case that needed it")
 *
 * KIND is one of enum quirk_kind (quirk.h), which says what the field holds, what LOW and HIGH bound
 * (numbers: their range; bytes: their count; lists: the range of each) and what the unit is:
 * of WORD, BITS and ORDER the words, separated by blanks, the first being number (or bit) 0.
 * The properties above QUIRK_LATE() are needed before the reader can be asked for its firmware.
 */
/* clang-format off */

/* Whether it is a reader at all, and which. */
QUIRK(REFUSE, refuse, TEXT, "refuse", 0, 120, "",
	"The reader is not opened, for this reason, which the log repeats; \"\" takes it anyway.",
	"firmware that loses answers, such as 0DC3:0900 before 2.00")
QUIRK(NAME, name, TEXT, "name", 1, 80, "",
	"The reader's name in place of what it says of itself.",
	"readers whose vendors have renamed them")
QUIRK(VENDOR_CLASS, vendor_class, FLAG, "vendor-class", 0, 1, "",
	"An interface of class FFh is a CCID reader when it has a class descriptor.",
	"readers older than the class's number: 046A:003E, 04E6:E003 and others")
QUIRK(MODE_SWITCH, mode_switch, BYTES, "mode-switch", 8, 64, "bytes",
	"The device is no reader before this control request, a setup packet and its data, which makes "
	"it leave the bus and come back as one. All its interfaces are claimed for it.",
	"0D46:4081, which shows itself as a CD first")
QUIRK(INTERFACES_TAKE_TURNS, interfaces_take_turns, FLAG, "interfaces-take-turns", 0, 1, "",
	"Of the readers in one device only one is spoken to at a time.",
	"076B:5422 and other pairs of interfaces that lock up when both are used at once")
QUIRK(AUTOSUSPEND, autosuspend, FLAG, "autosuspend", 0, 1, "",
	"No: the kernel never puts the idle device to sleep. Used by the udev rules, when they are made.",
	"0783:0003 and 058F:9520, which do not wake up properly")
QUIRK(DETACH_KERNEL_DRIVER, detach_kernel_driver, FLAG, "detach-kernel-driver", 0, 1, "",
	"No: a kernel driver that has the interface keeps it, and the reader is not opened.",
	"readers whose kernel driver is wanted")
QUIRK(RESET_AT_OPEN, reset_at_open, FLAG, "reset-at-open", 0, 1, "",
	"The device's port is reset before anything is asked.",
	"readers that keep their state when the daemon is started again")

/* What its class descriptor should have said (CCID 1.1 §5.1). */
QUIRK(DESCRIPTOR, descriptor, BYTES, "descriptor", 54, 54, "bytes",
	"The class descriptor, in place of the reader's own or of one that it lacks.",
	"descriptors that are damaged beyond single fields")
QUIRK(DESCRIPTOR_PATCH, descriptor_patch, PATCHES, "descriptor-patch", 0, 0, "FIELD=NUMBER",
	"Single fields of the class descriptor, by the specification's names.",
	"09BE:0002, whose dwMaxDataRate is shifted by a byte")
QUIRK(FEATURES_ON, features_on, BITS, "features-on", 0, 0,
	"- parameters-from-atr activation voltage clock baud-rate negotiation pps clock-stop nad ifsd",
	"Things that the reader does by itself, though its dwFeatures do not say so.",
	"0529:0620, which an S(IFS) of the host breaks")
QUIRK(FEATURES_OFF, features_off, BITS, "features-off", 0, 0,
	"- parameters-from-atr activation voltage clock baud-rate negotiation pps clock-stop nad ifsd",
	"Things that the reader does not do, though its dwFeatures say so.",
	"readers that announce more than they can do")
QUIRK(EXCHANGE_LEVEL, exchange_level, WORD, "exchange-level", 0, 0,
	"character tpdu short-apdu extended-apdu",
	"What the reader takes in one message, whatever dwFeatures say.",
	"076B:3A21 and others that say short APDU but chain; 0D46:3010, which says extended but can't")
QUIRK(PROTOCOLS, protocols, BITS, "protocols", 0, 0, "t0 t1",
	"The protocols the reader can do (dwProtocols).",
	"readers that name the wrong ones")
QUIRK(IFSD, ifsd, NUMBER, "ifsd", 1, 254, "bytes",
	"The longest information field of a T=1 block from the card (dwMaxIFSD).",
	"04E6:E001 before 5.16, which can't send an answer that fills a packet")
QUIRK(CLOCK, clock, NUMBER, "clock", 100, 100000, "kHz",
	"The card's clock (dwDefaultClock).",
	"readers that name a wrong one")
QUIRK(MAX_DATA_RATE, max_data_rate, NUMBER, "max-data-rate", 1000, 16000000, "bit/s",
	"The fastest speed that is agreed with a card (dwMaxDataRate).",
	"0B97:7762, which can do 9600 only; 058F:9540, which can't do the speeds it announces")
QUIRK(DATA_RATES, data_rates, NUMBERS, "data-rates", 1000, 16000000, "bit/s",
	"The speeds there are, in place of the reader's list.",
	"readers whose list is wrong")
QUIRK(OTHER_SLOTS_MAX_DATA_RATE, other_slots_max_data_rate, NUMBER, "other-slots-max-data-rate",
	1000, 16000000, "bit/s",
	"As max-data-rate, for all slots but the first.",
	"08E6:3479, whose slots for SIMs are slower than the one for cards")
QUIRK(OTHER_SLOTS_DATA_RATES, other_slots_data_rates, NUMBERS, "other-slots-data-rates",
	1000, 16000000, "bit/s",
	"As data-rates, for all slots but the first.",
	"08E6:3479")
QUIRK(VOLTAGES, voltages, ORDER, "voltages", 1, 4, "auto 5V 3V 1.8V",
	"The voltages to power a card up with, in this order, until one works.",
	"readers that announce a voltage they can't do")
QUIRK(MAX_MESSAGE, max_message, NUMBER, "max-message", 24, 65556, "bytes",
	"The longest message, with its header (dwMaxCCIDMessageLength).",
	"readers that announce more than they can take")
QUIRK(BUSY_SLOTS, busy_slots, NUMBER, "busy-slots", 1, 256, "slots",
	"How many slots can be busy at a time (bMaxCCIDBusySlots).",
	"readers that mix up the answers of two busy slots")
QUIRK(PIN_SUPPORT, pin_support, BITS, "pin-support", 0, 0, "verify modify",
	"What the PIN pad can do (bPINSupport); none: it is not used.",
	"03F0:1024 and other keyboards that send the PIN to the host as well")

/* How it is spoken to. */
QUIRK(PRESENCE, presence, WORD, "presence", 0, 0, "interrupt polling power-on",
	"How a card is noticed: as the reader tells by interrupt, by asking it again and again, or, when "
	"it can't be asked, a card is taken to be there until it can't be powered up.",
	"polling: 04E6:E003, whose interrupt messages get lost; power-on: 08E6:3480 before 2.00")
QUIRK(START_DELAY, start_delay, NUMBER, "start-delay", 0, 10000, "ms",
	"How long the reader is left alone after it was opened.",
	"08E6:3478, whose texts can't be loaded at once")
QUIRK(STATUS_TIMEOUT, status_timeout, NUMBER, "status-timeout", 100, 60000, "ms",
	"How long the answer to GetSlotStatus may take.",
	"readers that search their field for tags before they answer")
QUIRK(EXCHANGE_TIMEOUT, exchange_timeout, NUMBER, "exchange-timeout", 1, 3600, "s",
	"As ifdExchangeSeconds of Info.plist: longest wait for an answer without any sign of life.",
	"readers that do not ask for more time when the card does")
QUIRK(TOTAL_TIMEOUT, total_timeout, NUMBER, "total-timeout", 1, 86400, "s",
	"As ifdTotalSeconds of Info.plist: longest time for one command, whatever the card asks for.",
	"cards that make long keys")
QUIRK(EXTRA_WAITING_TIME, extra_waiting_time, NUMBER, "extra-waiting-time", 0, 3600, "s",
	"What is added to the waiting times of T=0 and T=1, and to exchange-timeout.",
	"08E6:34D2, which makes a key without asking for time")
QUIRK(PACKET_READS, packet_reads, FLAG, "packet-reads", 0, 1, "",
	"Answers are read packet by packet from the start, for a reader that leaves out the empty packet "
	"behind an answer of whole packets. Without it the driver finds out after a second, over USB/IP "
	"after some.",
	"readers for which that second is too long")
QUIRK(ZERO_LENGTH_PACKET, zero_length_packet, FLAG, "zero-length-packet", 0, 1, "",
	"A command of whole packets is followed by an empty one.",
	"readers that wait for the end of such a command")
QUIRK(CONTROL_ABORT, control_abort, FLAG, "control-abort", 0, 1, "",
	"No: the ABORT request on the control pipe is never sent; recovery begins with the next step.",
	"readers that hang on a class request")
QUIRK(GET_DATA_RATES, get_data_rates, FLAG, "get-data-rates", 0, 1, "",
	"No: GET_DATA_RATES is not asked, and every speed up to dwMaxDataRate is taken to be there.",
	"readers that hang on a class request")
QUIRK(LEVEL_AFTER_INIT, level_after_init, WORD, "level-after-init", 0, 0,
	"character tpdu short-apdu extended-apdu",
	"As exchange-level, if the reader has accepted all init-escape commands.",
	"08E6:3437, which an Escape brings to its EMV mode")
QUIRK(FIRMWARE_ESCAPE, firmware_escape, BYTES, "firmware-escape", 1, 32, "bytes",
	"The Escape whose answer is the firmware's name; MatchFirmware needs it, and it is told to "
	"applications (sFirmwareID).",
	"08E6:*, which answer 02")

QUIRK_LATE()

QUIRK(INIT_ESCAPE, init_escape, ESCAPES, "init-escape", 1, 250, "BYTES [-> BYTES], ...",
	"Escapes to send before the first command. When the answer does not begin with the bytes behind "
	"\"->\" (none: when it is refused), the log says so.",
	"08E6:3437, which needs to be brought to ISO mode")
QUIRK(INIT_ESCAPE_LANGUAGE, init_escape_language, ESCAPES, "init-escape-language", 1, 250,
	"LANGUAGE BYTES [-> BYTES], ...",
	"As init-escape, each for one language of two letters; sent are those of the daemon's language "
	"(LANG), or else of English.",
	"08E6:3478, whose display has no texts of its own")
QUIRK(INIT_REQUIRED, init_required, FLAG, "init-required", 0, 1, "",
	"A reader that does not accept its init Escapes is not opened.",
	"08E6:3478, whose PIN pad is of no use without its texts")
QUIRK(POWER_ON_ESCAPE, power_on_escape, ESCAPES, "power-on-escape", 1, 32, "BERROR -> BYTES, ...",
	"When IccPowerOn fails with this bError, the Escape is sent and the card powered up again.",
	"08E6:4433, which forgets to leave its EMV mode")
QUIRK(POWER_OFF_FIRST, power_off_first, FLAG, "power-off-first", 0, 1, "",
	"Before each power-on the card's power is taken away.",
	"0D46:301D; 0424:1202, whose second slot has no switch")
QUIRK(PPS, pps, FLAG, "pps", 0, 1, "",
	"No: no PPS is sent, so that a card's first protocol and default speed are the only ones.",
	"0B97:7762")
QUIRK(PARAMETERS_REFUSED, parameters_refused, WORD, "parameters-refused", 0, 0, "fail reset ignore",
	"What a refused SetParameters means: no connection, one after a power cycle, or nothing.",
	"058F:9540, which refuses some T=1 cards' parameters and works all the same")
QUIRK(WAITING_INTEGERS, waiting_integers, ESCAPES, "waiting-integers", 2, 33,
	"ATR -> BWI-AND-CWI, ...",
	"For the card of this ATR, the waiting integers of T=1 in place of those in it, one byte: BWI "
	"up to 9 in its high half, CWI in its low one.",
	"the OpenPGP cards of versions 1 and 2, which make keys without asking for time")
QUIRK(BLOCK_ESCAPE, block_escape, BYTES, "block-escape", 1, 8, "bytes",
	"Extended APDUs, which short APDU level does not carry, go to a card of T=1 in blocks, each in an "
	"Escape behind these bytes; its answer has as many before the block.",
	"076B:*: 1A")
QUIRK(FIXED_ANSWER, fixed_answer, ESCAPES, "fixed-answer", 1, 64, "BYTES -> BYTES, ...",
	"Commands to the card that the driver answers itself.",
	"0D46:301D, whose maker's software asks the driver who it is")

/* Which Escapes applications may send. */
QUIRK(ESCAPE_ALLOW, escape_allow, PREFIXES, "escape-allow", 1, 16, "BYTES, ... or all",
	"Escapes that begin so may be sent by every application.",
	"076B:5427 and 08E6:5503, which are switched by Escapes; 08E6:*, whose firmware 02 names")
QUIRK(ESCAPE_ALLOW_ROOT, escape_allow_root, PREFIXES, "escape-allow-root", 1, 16,
	"BYTES, ... or all",
	"Escapes that begin so may be sent by programs of root.",
	"firmware updates")
QUIRK(ESCAPE_USERS, escape_users, NUMBERS, "escape-users", 1, 0xFFFFFFFE, "user IDs",
	"Whom escape-allow-users is for.",
	"a service that runs as a user of its own")
QUIRK(ESCAPE_ALLOW_USERS, escape_allow_users, PREFIXES, "escape-allow-users", 1, 16,
	"BYTES, ... or all",
	"Escapes that begin so may be sent by programs of these users.",
	"the same service, which no other program is to disturb")

/* Contactless. */
QUIRK(CONTACTLESS_SLOTS, contactless_slots, BITS, "contactless-slots", 0, 0,
	"0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
	"The slots that are for tags.",
	"readers with a slot of each kind")
QUIRK(CONTACTLESS_DIALECT, contactless_dialect, WORD, "contactless-dialect", 0, 0, "none pn532",
	"The raw commands by which a reader without a protocol of its own speaks to tags.",
	"072F:2200")

/* The PIN pad: what differs from CCID 1.1 §6.1.11 and PC/SC part 10. */
QUIRK(PIN_VERIFY_MESSAGES, pin_verify_messages, NUMBER, "pin-verify-messages", 0, 255, "",
	"bNumberMessage of a PIN verification, whatever the application says.",
	"08E6:3478: 1; 413C:2101: 0")
QUIRK(PIN_MODIFY_MESSAGES, pin_modify_messages, NUMBER, "pin-modify-messages", 0, 255, "",
	"bNumberMessage of a PIN modification.",
	"046A:0010: 3")
QUIRK(PIN_MODIFY_NO_MESSAGES, pin_modify_no_messages, NUMBER, "pin-modify-no-messages", 0, 255, "",
	"bNumberMessage of a PIN modification when the application says 0.",
	"046A:00A1: 255")
QUIRK(PIN_MODIFY_INDEXES, pin_modify_indexes, WORD, "pin-modify-indexes", 0, 0,
	"as-needed all all-zero",
	"Which message indexes a PIN modification has: those bNumberMessage asks for, all three, or all "
	"three being 0 when there is no message.",
	"08E6:*: all; 04E6:E003: all-zero")
QUIRK(PIN_VALIDATION, pin_validation, NUMBER, "pin-validation", 0, 7, "",
	"bEntryValidationCondition of every PIN entry, and what is told of it.",
	"08E6:3478, which knows its OK key only: 2")
QUIRK(PIN_VALIDATION_TOLD, pin_validation_told, NUMBER, "pin-validation-told", 0, 7, "",
	"bEntryValidationCondition that applications are told.",
	"046A:003E: 2")
QUIRK(PIN_MIN_SIZE, pin_min_size, NUMBER, "pin-min-size", 0, 255, "digits",
	"The shortest PIN that the reader can take, as applications are told.",
	"08E6:3478: 4; 076B:3821: 1")
QUIRK(PIN_MAX_SIZE, pin_max_size, NUMBER, "pin-max-size", 0, 255, "digits",
	"The longest.",
	"08E6:3478: 8; 046A:003E: 25; 046A:00A1: 32; 076B:3821: 31")
QUIRK(PIN_FEATURES_ESCAPE, pin_features_escape, BYTES, "pin-features-escape", 1, 8, "bytes",
	"The Escape that brings Gemalto's block of 21 bytes about the PIN pad.",
	"08E6:*: 6A")
QUIRK(PIN_VERIFY_ESCAPE, pin_verify_escape, BYTES, "pin-verify-escape", 1, 32, "bytes",
	"An Escape before a verification without PIN block (bmPINBlockString 0, a case 1 APDU).",
	"04E6:E003: 80 02 00, so that the PIN is appended without padding")
QUIRK(PIN_BLOCK_ZERO, pin_block_zero, FLAG, "pin-block-zero", 0, 1, "",
	"bmPINBlockString and bmPINLengthFormat are sent as 0 where the PIN block has no size.",
	"04E6:*")
QUIRK(PIN_DELAY, pin_delay, NUMBER, "pin-delay", 0, 2000, "ms",
	"How long to wait before a PIN entry begins.",
	"413C:2101, a keyboard whose Enter key is still down")
QUIRK(PIN_SWAP_EXTRA_DIGIT, pin_swap_extra_digit, FLAG, "pin-swap-extra-digit", 0, 1, "",
	"The two bytes of wPINMaxExtraDigit change places.",
	"413C:2100")
QUIRK(PIN_APPEND_LC, pin_append_lc, FLAG, "pin-append-lc", 0, 1, "",
	"A command without data is given an Lc of 0.",
	"046A:*")
QUIRK(PIN_MESSAGE_TYPE, pin_message_type, NUMBER, "pin-message-type", 0x69, 0x89, "",
	"bMessageType of PIN commands in place of 69h.",
	"046A:* keyboards, which type stars unless it is 89h")
QUIRK(PIN_READER_DIRECT, pin_reader_direct, FLAG, "pin-reader-direct", 0, 1, "",
	"Secoder: applications may command the reader itself (FEATURE_MCT_READER_DIRECT).",
	"0D46:3010 and 0D46:4289")
/* clang-format on */
#undef QUIRK
#undef QUIRK_LATE
