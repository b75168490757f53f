// SPDX-License-Identifier: MIT OR Apache-2.0
// Carry cells and look-up tables of iCE40 that Yosys leaves with one net on both operands of a sum; a map for `techmap`.
//
// The carry out of x + x is x, whatever comes in. nextpnr moves the net between the inputs that a look-up table shares with its
// carry cell and back, without an end, so the second input is tied to zero and the table reads the first one twice.

module SB_CARRY (output CO, input I0, input I1, input CI);
  parameter _TECHMAP_CONNMAP_I0_ = 0;
  parameter _TECHMAP_CONNMAP_I1_ = 0;

  wire _TECHMAP_FAIL_ = _TECHMAP_CONNMAP_I0_ != _TECHMAP_CONNMAP_I1_;

  assign CO = I0;
endmodule

module SB_LUT4 (output O, input I0, input I1, input I2, input I3);
  parameter [15:0] LUT_INIT = 16'h0000;
  parameter [0:0] _TECHMAP_CONSTMSK_I1_ = 0;
  parameter _TECHMAP_CONNMAP_I1_ = 0;
  parameter _TECHMAP_CONNMAP_I2_ = 0;

  wire _TECHMAP_FAIL_ = _TECHMAP_CONSTMSK_I1_ || (_TECHMAP_CONNMAP_I1_ != _TECHMAP_CONNMAP_I2_);

  // Of each four entries with one I3 and I2 = I1: those of I1 = 1 and of I1 = 0, two each for I0.
  SB_LUT4 #(
    .LUT_INIT ({{2{LUT_INIT[15:14], LUT_INIT[9:8]}}, {2{LUT_INIT[7:6], LUT_INIT[1:0]}}})
  ) _TECHMAP_REPLACE_ (
    .O  (O),
    .I0 (I0),
    .I1 (I1),
    .I2 (1'b0),
    .I3 (I3)
  );
endmodule
