//! The instruction sets that kernels are compiled for, and the choice among them at run time.

/// An instruction set that this machine has; it can only be got by detection, so that holding one proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instructions {
    level: Level,
}

/// Names of the instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every machine of the target has.
    Portable,
    /// x86-64 with AVX2 and POPCNT.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL, VNNI and VPOPCNTDQ.
    Avx512,
}

impl Instructions {
    /// The best set that this machine has.
    pub fn detect() -> Self {
        Self::available().last().copied().unwrap_or(Self::portable())
    }

    /// The set that every machine has.
    pub fn portable() -> Self {
        Instructions { level: Level::Portable }
    }

    /// Every set that this machine has, the least first.
    pub fn available() -> Vec<Self> {
        [Level::Portable, Level::Avx2, Level::Avx512]
            .into_iter()
            .filter(|&level| is_present(level))
            .map(|level| Instructions { level })
            .collect()
    }

    /// The name of the set.
    pub fn level(self) -> Level {
        self.level
    }
}

#[cfg(target_arch = "x86_64")]
fn is_present(level: Level) -> bool {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt");
    match level {
        Level::Portable => true,
        Level::Avx2 => avx2,
        Level::Avx512 => {
            avx2 && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
                && is_x86_feature_detected!("avx512vpopcntdq")
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn is_present(level: Level) -> bool {
    level == Level::Portable
}

/// Compiles one safe loop once for each instruction set and calls the one that an [`Instructions`] (given as first
/// argument) proves to be there. The loop stays ordinary code; the compiler vectorises it for each set.
macro_rules! for_each_instruction_set {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $body:block) => {
        $(#[$attribute])*
        #[allow(clippy::too_many_arguments)]
        $visibility fn $name(instructions: $crate::kernel::Instructions, $($argument: $kind),*) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body($($argument: $kind),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,popcnt")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($argument: $kind),*) {
                    body($($argument),*)
                }
                #[target_feature(enable = "avx2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($argument: $kind),*) {
                    body($($argument),*)
                }
                // SAFETY: an `Instructions` of a level exists only where that level's features were detected.
                #[allow(unsafe_code)]
                match instructions.level() {
                    $crate::kernel::instructions::Level::Portable => body($($argument),*),
                    $crate::kernel::instructions::Level::Avx2 => unsafe { avx2($($argument),*) },
                    $crate::kernel::instructions::Level::Avx512 => unsafe { avx512($($argument),*) },
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            {
                let _ = instructions;
                body($($argument),*)
            }
        }
    };
}

pub(crate) use for_each_instruction_set;
