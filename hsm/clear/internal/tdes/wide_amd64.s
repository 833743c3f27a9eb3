#include "textflag.h"

// Triple DES for 16 blocks at a time, each under its own key, with AVX-512 (F, BW,
// VBMI) and GFNI. A register holds 32 bits of 16 lanes, byte p of all lanes in its
// 128-bit part p. VPERMB then looks 64 lanes' six bits up in a table of 64 bytes,
// which is what a box of DES is, and ignores the bits above them. The permutation
// behind the boxes goes across bytes: four affine maps of bytes, of the sum as it is and
// turned by one, two and three parts. No address depends on a key or on data.

// LANES4 loads 16 bytes (four words of round keys) of lanes i, i+4, i+8, i+12.
#define LANES4(i, X, Y, Z) \
	MOVQ (8*i)(SI), R8          \
	MOVQ (8*i+32)(SI), R9       \
	MOVQ (8*i+64)(SI), R10      \
	MOVQ (8*i+96)(SI), R11      \
	VMOVDQU (R8)(CX*1), X       \
	VINSERTI32X4 $1, (R9)(CX*1), Z, Z  \
	VINSERTI32X4 $2, (R10)(CX*1), Z, Z \
	VINSERTI32X4 $3, (R11)(CX*1), Z, Z

// func lay(to *[32][64]byte, from *[16]*schedule, t *tables)
TEXT ·lay(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ t+16(FP), DX
	VMOVDQU8 1024(DX), Z31 // tables.slice
	XORQ CX, CX

four:
	LANES4(0, X0, Y0, Z0)
	LANES4(1, X1, Y1, Z1)
	LANES4(2, X2, Y2, Z2)
	LANES4(3, X3, Y3, Z3)

	// In each part, four lanes of four words become four words of four lanes.
	VPUNPCKLDQ Z1, Z0, Z4
	VPUNPCKHDQ Z1, Z0, Z5
	VPUNPCKLDQ Z3, Z2, Z6
	VPUNPCKHDQ Z3, Z2, Z7
	VPUNPCKLQDQ Z6, Z4, Z0
	VPUNPCKHQDQ Z6, Z4, Z1
	VPUNPCKLQDQ Z7, Z5, Z2
	VPUNPCKHQDQ Z7, Z5, Z3
	VPERMB Z0, Z31, Z0
	VPERMB Z1, Z31, Z1
	VPERMB Z2, Z31, Z2
	VPERMB Z3, Z31, Z3
	VMOVDQU8 Z0, (DI)
	VMOVDQU8 Z1, 64(DI)
	VMOVDQU8 Z2, 128(DI)
	VMOVDQU8 Z3, 192(DI)
	ADDQ $256, DI
	ADDQ $16, CX
	CMPQ CX, $128
	JNE four
	VZEROUPPER
	RET

// ROUND adds to a half (E: for the even boxes, O: turned for the odd ones) the
// cipher function of the other (FE, FO) and the round key at k.
#define ROUND(E, O, FE, FO, k) \
	VPXORD (k)(R8), FE, Z20       \
	VPXORD (k+64)(R8), FO, Z21    \
	VPERMB.Z Z0, Z20, K1, Z22     \
	VPERMB.Z Z1, Z20, K2, Z23     \
	VPERMB.Z Z2, Z20, K3, Z24     \
	VPERMB.Z Z3, Z20, K4, Z25     \
	VPERMB.Z Z4, Z21, K1, Z26     \
	VPERMB.Z Z5, Z21, K2, Z27     \
	VPERMB.Z Z6, Z21, K3, Z28     \
	VPERMB.Z Z7, Z21, K4, Z29     \
	VPTERNLOGD $0x96, Z24, Z23, Z22 \
	VPTERNLOGD $0x96, Z27, Z26, Z25 \
	VPXORD Z29, Z28, Z28            \
	VPTERNLOGD $0x96, Z28, Z25, Z22 \
	VALIGNQ $2, Z22, Z22, Z23       \
	VALIGNQ $4, Z22, Z22, Z24       \
	VALIGNQ $6, Z22, Z22, Z25       \
	VGF2P8AFFINEQB $0, Z8, Z22, Z26 \
	VGF2P8AFFINEQB $0, Z12, Z22, Z27 \
	VPXORD Z26, E, E                \
	VPXORD Z27, O, O                \
	VGF2P8AFFINEQB $0, Z9, Z23, Z26 \
	VGF2P8AFFINEQB $0, Z10, Z24, Z28 \
	VGF2P8AFFINEQB $0, Z11, Z25, Z20 \
	VGF2P8AFFINEQB $0, Z13, Z23, Z27 \
	VGF2P8AFFINEQB $0, Z14, Z24, Z29 \
	VGF2P8AFFINEQB $0, Z15, Z25, Z21 \
	VPTERNLOGD $0x96, Z28, Z26, E   \
	VPTERNLOGD $0x96, Z29, Z27, O   \
	VPXORD Z20, E, E                \
	VPXORD Z21, O, O

// func twice(w *work, third *[32][64]byte, t *tables)
//
// Z0-Z7 are the boxes, Z8-Z15 the matrices, Z16-Z19 the halves: left, left turned,
// right, right turned.
TEXT ·twice(SB), NOSPLIT, $0-24
	MOVQ w+0(FP), DI
	MOVQ third+8(FP), SI
	MOVQ t+16(FP), DX
	VMOVDQU8 (DX), Z0
	VMOVDQU8 64(DX), Z1
	VMOVDQU8 128(DX), Z2
	VMOVDQU8 192(DX), Z3
	VMOVDQU8 256(DX), Z4
	VMOVDQU8 320(DX), Z5
	VMOVDQU8 384(DX), Z6
	VMOVDQU8 448(DX), Z7
	VMOVDQU8 512(DX), Z8
	VMOVDQU8 576(DX), Z9
	VMOVDQU8 640(DX), Z10
	VMOVDQU8 704(DX), Z11
	VMOVDQU8 768(DX), Z12
	VMOVDQU8 832(DX), Z13
	VMOVDQU8 896(DX), Z14
	VMOVDQU8 960(DX), Z15
	VMOVDQU8 1024(DX), Z31 // tables.slice
	VMOVDQU8 1088(DX), Z30 // tables.words
	MOVQ $0xFFFF, AX
	KMOVQ AX, K1
	KSHIFTLQ $16, K1, K2
	KSHIFTLQ $32, K1, K3
	KSHIFTLQ $48, K1, K4

	VMOVDQU32 (DI), Z16
	VMOVDQU32 64(DI), Z18
	MOVQ $2, BX

block:
	VPRORD $4, Z16, Z17
	VPRORD $4, Z18, Z19
	VPERMB Z16, Z31, Z16
	VPERMB Z17, Z31, Z17
	VPERMB Z18, Z31, Z18
	VPERMB Z19, Z31, Z19

	LEAQ 256(DI), R8 // work.keys[0], forth
	MOVQ $8, CX
first:
	ROUND(Z16, Z17, Z18, Z19, 0)
	ROUND(Z18, Z19, Z16, Z17, 128)
	ADDQ $256, R8
	DECQ CX
	JNE first

	LEAQ (256+2*2048-256)(DI), R8 // work.keys[1], back; the halves change about
	MOVQ $8, CX
second:
	ROUND(Z18, Z19, Z16, Z17, 128)
	ROUND(Z16, Z17, Z18, Z19, 0)
	SUBQ $256, R8
	DECQ CX
	JNE second

	MOVQ SI, R8
	MOVQ $8, CX
third:
	ROUND(Z16, Z17, Z18, Z19, 0)
	ROUND(Z18, Z19, Z16, Z17, 128)
	ADDQ $256, R8
	DECQ CX
	JNE third

	// Back to words, with the halves changed about.
	VPERMB Z18, Z30, Z20
	VPERMB Z16, Z30, Z18
	VMOVDQA32 Z20, Z16
	DECQ BX
	JEQ done
	VPXORD 128(DI), Z16, Z16
	VPXORD 192(DI), Z18, Z18
	JMP block

done:
	VMOVDQU32 Z16, (DI)
	VMOVDQU32 Z18, 64(DI)
	VZEROUPPER
	RET
