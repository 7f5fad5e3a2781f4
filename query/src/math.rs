//! Arithmetic, comparison and math functions on single values, as InfluxDB 1.x computes them: integers wrap, division
//! by zero is zero, a null operand makes null (but beside a boolean it is false), types that do not go together compare
//! false.

use crate::influxql::ast::BinaryOp;
use crate::result::Cell;

/// What `/` makes of two integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// A float (select lists).
    Float,
    /// An integer (conditions).
    Integer,
}

/// The value of `lhs op rhs`. Regular expressions are not values; who has one tests it himself.
pub fn binary(op: BinaryOp, lhs: &Cell, rhs: &Cell, division: Division) -> Cell {
    match (lhs, rhs) {
        (Cell::Boolean(a), Cell::Null) => booleans(op, *a, false),
        (Cell::Null, Cell::Boolean(b)) => booleans(op, false, *b),
        _ => binary_of_field(op, lhs, rhs, division),
    }
}

/// As [`binary`], but null is a field that a point lacks: nothing can be compared with that, not even a boolean.
pub fn binary_of_field(op: BinaryOp, lhs: &Cell, rhs: &Cell, division: Division) -> Cell {
    match (lhs, rhs) {
        (Cell::Boolean(a), Cell::Boolean(b)) => booleans(op, *a, *b),
        (Cell::Boolean(_), _) => match op {
            BinaryOp::And | BinaryOp::Or | BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor => {
                Cell::Boolean(false)
            }
            _ => not_comparable(op),
        },
        (Cell::Float(a), Cell::Float(b)) => floats(op, *a, *b),
        (Cell::Float(a), Cell::Integer(b)) => floats(op, *a, *b as f64),
        (Cell::Float(a), Cell::Unsigned(b)) => floats(op, *a, *b as f64),
        (Cell::Integer(a), Cell::Float(b)) => floats(op, *a as f64, *b),
        (Cell::Unsigned(a), Cell::Float(b)) => floats(op, *a as f64, *b),
        (Cell::Integer(a), Cell::Integer(b)) => integers(op, *a, *b, division),
        (Cell::Unsigned(a), Cell::Unsigned(b)) => unsigneds(op, *a, *b),
        (Cell::Integer(a), Cell::Unsigned(b)) => match (op, *a < 0) {
            (BinaryOp::Lt | BinaryOp::LtEq, true) => Cell::Boolean(true),
            (BinaryOp::Gt | BinaryOp::GtEq, true) => Cell::Boolean(false),
            _ => unsigneds(op, *a as u64, *b),
        },
        (Cell::Unsigned(a), Cell::Integer(b)) => match (op, *b < 0) {
            (BinaryOp::Lt | BinaryOp::LtEq, true) => Cell::Boolean(false),
            (BinaryOp::Gt | BinaryOp::GtEq, true) => Cell::Boolean(true),
            _ => unsigneds(op, *a, *b as u64),
        },
        (Cell::String(a), Cell::String(b)) => match op {
            BinaryOp::Eq => Cell::Boolean(a == b),
            BinaryOp::NotEq => Cell::Boolean(a != b),
            _ => not_comparable(op),
        },
        _ => not_comparable(op),
    }
}

/// Comparisons of what cannot be compared are false, anything else is null.
fn not_comparable(op: BinaryOp) -> Cell {
    match op {
        BinaryOp::Eq
        | BinaryOp::NotEq
        | BinaryOp::Lt
        | BinaryOp::LtEq
        | BinaryOp::Gt
        | BinaryOp::GtEq
        | BinaryOp::EqRegex
        | BinaryOp::NotEqRegex => Cell::Boolean(false),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Mod
        | BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor
        | BinaryOp::And
        | BinaryOp::Or => Cell::Null,
    }
}

fn booleans(op: BinaryOp, a: bool, b: bool) -> Cell {
    Cell::Boolean(match op {
        BinaryOp::And | BinaryOp::BitAnd => a && b,
        BinaryOp::Or | BinaryOp::BitOr => a || b,
        BinaryOp::BitXor | BinaryOp::NotEq => a != b,
        BinaryOp::Eq => a == b,
        _ => return not_comparable(op),
    })
}

fn floats(op: BinaryOp, a: f64, b: f64) -> Cell {
    match op {
        BinaryOp::Add => Cell::Float(a + b),
        BinaryOp::Sub => Cell::Float(a - b),
        BinaryOp::Mul => Cell::Float(a * b),
        BinaryOp::Div => Cell::Float(if b == 0.0 { 0.0 } else { a / b }),
        BinaryOp::Mod => Cell::Float(a % b),
        _ => ordered(op, &a, &b),
    }
}

fn integers(op: BinaryOp, a: i64, b: i64, division: Division) -> Cell {
    match op {
        BinaryOp::Add => Cell::Integer(a.wrapping_add(b)),
        BinaryOp::Sub => Cell::Integer(a.wrapping_sub(b)),
        BinaryOp::Mul => Cell::Integer(a.wrapping_mul(b)),
        BinaryOp::Div => match (division, b) {
            (Division::Float, 0) => Cell::Float(0.0),
            (Division::Float, _) => Cell::Float(a as f64 / b as f64),
            (Division::Integer, 0) => Cell::Integer(0),
            (Division::Integer, _) => Cell::Integer(a.wrapping_div(b)),
        },
        BinaryOp::Mod => Cell::Integer(if b == 0 { 0 } else { a.wrapping_rem(b) }),
        BinaryOp::BitAnd => Cell::Integer(a & b),
        BinaryOp::BitOr => Cell::Integer(a | b),
        BinaryOp::BitXor => Cell::Integer(a ^ b),
        _ => ordered(op, &a, &b),
    }
}

fn unsigneds(op: BinaryOp, a: u64, b: u64) -> Cell {
    match op {
        BinaryOp::Add => Cell::Unsigned(a.wrapping_add(b)),
        BinaryOp::Sub => Cell::Unsigned(a.wrapping_sub(b)),
        BinaryOp::Mul => Cell::Unsigned(a.wrapping_mul(b)),
        BinaryOp::Div => Cell::Unsigned(a.checked_div(b).unwrap_or(0)),
        BinaryOp::Mod => Cell::Unsigned(a.checked_rem(b).unwrap_or(0)),
        BinaryOp::BitAnd => Cell::Unsigned(a & b),
        BinaryOp::BitOr => Cell::Unsigned(a | b),
        BinaryOp::BitXor => Cell::Unsigned(a ^ b),
        _ => ordered(op, &a, &b),
    }
}

fn ordered<T: PartialOrd>(op: BinaryOp, a: &T, b: &T) -> Cell {
    Cell::Boolean(match op {
        BinaryOp::Eq => a == b,
        BinaryOp::NotEq => a != b,
        BinaryOp::Lt => a < b,
        BinaryOp::LtEq => a <= b,
        BinaryOp::Gt => a > b,
        BinaryOp::GtEq => a >= b,
        _ => return not_comparable(op),
    })
}

/// The math functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the functions")]
pub enum Function {
    Abs,
    Acos,
    Asin,
    Atan,
    Atan2,
    Ceil,
    Cos,
    Exp,
    Floor,
    Ln,
    Log,
    Log10,
    Log2,
    Pow,
    Round,
    Sin,
    Sqrt,
    Tan,
}

impl Function {
    /// The function of this name in lower case.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "abs" => Self::Abs,
            "acos" => Self::Acos,
            "asin" => Self::Asin,
            "atan" => Self::Atan,
            "atan2" => Self::Atan2,
            "ceil" => Self::Ceil,
            "cos" => Self::Cos,
            "exp" => Self::Exp,
            "floor" => Self::Floor,
            "ln" => Self::Ln,
            "log" => Self::Log,
            "log10" => Self::Log10,
            "log2" => Self::Log2,
            "pow" => Self::Pow,
            "round" => Self::Round,
            "sin" => Self::Sin,
            "sqrt" => Self::Sqrt,
            "tan" => Self::Tan,
            _ => return None,
        })
    }

    /// How many arguments it takes.
    pub fn arity(self) -> usize {
        match self {
            Self::Atan2 | Self::Log | Self::Pow => 2,
            _ => 1,
        }
    }

    /// Its value; null for arguments it is not made for. May be NaN or infinite.
    pub fn apply(self, args: &[Cell]) -> Cell {
        match (self, args) {
            (Self::Abs, [Cell::Integer(i)]) => Cell::Integer(i.wrapping_abs()),
            (Self::Abs | Self::Ceil | Self::Floor | Self::Round, [Cell::Unsigned(u)]) => Cell::Unsigned(*u),
            (Self::Ceil | Self::Floor | Self::Round, [Cell::Integer(i)]) => Cell::Integer(*i),
            (Self::Atan2 | Self::Log | Self::Pow, [x, y]) => match (float(x), float(y)) {
                (Some(x), Some(y)) => Cell::Float(self.of_two(x, y)),
                _ => Cell::Null,
            },
            (_, [x]) if self.arity() == 1 => float(x).map_or(Cell::Null, |x| Cell::Float(self.of_one(x))),
            _ => Cell::Null,
        }
    }

    fn of_one(self, x: f64) -> f64 {
        match self {
            Self::Abs => x.abs(),
            Self::Acos => x.acos(),
            Self::Asin => x.asin(),
            Self::Atan => x.atan(),
            Self::Ceil => x.ceil(),
            Self::Cos => x.cos(),
            Self::Exp => x.exp(),
            Self::Floor => x.floor(),
            Self::Ln => x.ln(),
            Self::Log10 => x.log10(),
            Self::Log2 => x.log2(),
            Self::Round => x.round(),
            Self::Sin => x.sin(),
            Self::Sqrt => x.sqrt(),
            Self::Tan => x.tan(),
            Self::Atan2 | Self::Log | Self::Pow => f64::NAN,
        }
    }

    fn of_two(self, x: f64, y: f64) -> f64 {
        match self {
            Self::Atan2 => x.atan2(y),
            Self::Log => x.ln() / y.ln(),
            Self::Pow => power(x, y),
            _ => f64::NAN,
        }
    }
}

/// `x` to the power of `y` in the steps that Go takes, to the last digit where `y` is whole: squares of the mantissa are multiplied
/// for each bit of it. The nearest number, which other libraries give, is another one now and then, and `%` makes much of that.
fn power(x: f64, y: f64) -> f64 {
    /// Exponents beyond this are far out of range whatever is multiplied.
    const EXPONENT_MAX: i64 = 1 << 12;
    let ordinary = x.is_finite() && y.is_finite() && x != 0.0 && y.abs() < 1e18 && y.abs() != 0.5;
    if !ordinary || (x < 0.0 && y.fract() != 0.0) {
        return x.powf(y);
    }
    let (mut whole, mut rest) = (y.abs().trunc() as i64, y.abs().fract());
    if rest > 0.5 {
        (whole, rest) = (whole + 1, rest - 1.0);
    }
    let mut mantissa = if rest == 0.0 { 1.0 } else { (rest * x.ln()).exp() };
    let mut exponent = 0;
    let (mut square, mut square_exponent) = halved(x);
    while whole != 0 {
        if square_exponent.abs() > EXPONENT_MAX {
            exponent += square_exponent;
            break;
        }
        if whole & 1 == 1 {
            mantissa *= square;
            exponent += square_exponent;
        }
        square *= square;
        square_exponent *= 2;
        if square < 0.5 {
            square += square;
            square_exponent -= 1;
        }
        whole >>= 1;
    }
    if y < 0.0 {
        (mantissa, exponent) = (1.0 / mantissa, -exponent);
    }
    scaled(mantissa, exponent)
}

/// A finite number other than zero as mantissa from 0.5 to 1, with its sign, and exponent of 2.
fn halved(x: f64) -> (f64, i64) {
    const MANTISSA_BITS: u32 = 52;
    const EXPONENT_MASK: u64 = 0x7FF << MANTISSA_BITS;
    // Subnormal numbers have no exponent of their own.
    let (x, below) =
        if x.is_normal() { (x, 0) } else { (x * 2f64.powi(MANTISSA_BITS as i32), i64::from(MANTISSA_BITS)) };
    let bits = x.to_bits();
    let exponent = ((bits & EXPONENT_MASK) >> MANTISSA_BITS) as i64 - 1022;
    (f64::from_bits(bits & !EXPONENT_MASK | 1022 << MANTISSA_BITS), exponent - below)
}

/// `x` times 2 to the power of `exponent`, rounded once.
fn scaled(x: f64, exponent: i64) -> f64 {
    let (mantissa, own) = if x == 0.0 || !x.is_finite() { return x } else { halved(x) };
    let exponent = exponent.saturating_add(own);
    match exponent {
        1025.. => f64::INFINITY.copysign(x),
        -1021..=1024 => mantissa * 2.0 * 2f64.powi((exponent - 1) as i32),
        // First exact, then rounded into what is left of the mantissa.
        -1100..=-1022 => mantissa * 2f64.powi((exponent + 1000) as i32) * 2f64.powi(-1000),
        _ => 0f64.copysign(x),
    }
}

fn float(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Float(f) => Some(*f),
        Cell::Integer(i) => Some(*i as f64),
        Cell::Unsigned(u) => Some(*u as f64),
        Cell::Null | Cell::Time(_) | Cell::Boolean(_) | Cell::String(_) | Cell::Strings(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_and_overflow() {
        let int = Cell::Integer;
        let of = |op, a: &Cell, b: &Cell| binary(op, a, b, Division::Float);
        assert_eq!(of(BinaryOp::Div, &int(1), &int(2)), Cell::Float(0.5));
        assert_eq!(of(BinaryOp::Div, &int(1), &int(0)), Cell::Float(0.0));
        assert_eq!(of(BinaryOp::Mod, &int(1), &int(0)), int(0));
        assert_eq!(of(BinaryOp::Add, &int(i64::MAX), &int(1)), int(i64::MIN));
        assert_eq!(of(BinaryOp::Add, &int(1), &Cell::Null), Cell::Null);
        assert_eq!(of(BinaryOp::BitXor, &Cell::Null, &Cell::Boolean(true)), Cell::Boolean(true));
        assert_eq!(of(BinaryOp::BitXor, &Cell::Null, &Cell::Null), Cell::Null);
        assert_eq!(of(BinaryOp::Eq, &int(1), &Cell::String("1".into())), Cell::Boolean(false));
        assert_eq!(binary(BinaryOp::Div, &int(7), &int(2), Division::Integer), int(3));
    }

    #[test]
    fn powers_are_those_of_go() {
        // As influxd 1.6.7 answers; the nearest numbers end in other digits.
        for (x, y, is) in [
            (98.875, 54.0, 5.428_387_119_259_153e107),
            (-52.625, 54.0, 8.797_795_798_667_054e92),
            (61.5, 54.0, 3.974_259_782_176_416e96),
            (2.75, 54.0, 5.296_213_290_845_194e23),
            (-17.875, -7.0, -1.715_053_399_530_961_3e-9),
            (98.875, 1.3, 392.294_704_259_827_54),
            (63.0, 1.3, 218.344_730_050_407_24),
        ] {
            assert_eq!(power(x, y), is, "{x} ** {y}");
        }
        let infinity = f64::INFINITY;
        for (x, y, is) in [
            (0.0, 0.0, 1.0),
            (-0.0, 3.0, -0.0),
            (0.0, -1.0, infinity),
            (2.0, 1024.0, infinity),
            (-2.0, 1025.0, -infinity),
            (2.0, -1074.0, 5e-324),
            (2.0, -1080.0, 0.0),
            (5e-324, 2.0, 0.0),
            (5e-324, -1.0, infinity),
            (4.0, 0.5, 2.0),
            (-2.0, 3.0, -8.0),
            (1e300, 1e17, infinity),
            (-1.0, 1e300, 1.0),
        ] {
            assert_eq!(power(x, y), is, "{x} ** {y}");
        }
        assert!(power(-2.0, 0.5).is_nan() && power(f64::NAN, 1.0).is_nan());
    }

    proptest::proptest! {
        #[test]
        fn powers_are_near_the_nearest(x in -1e3f64..1e3, whole in -60i32..60, rest: bool) {
            let y = f64::from(whole) + if rest { 0.3 } else { 0.0 };
            let (is, nearest) = (power(x, y), x.powf(y));
            let same = is.to_bits() == nearest.to_bits() || is.is_nan() && nearest.is_nan();
            proptest::prop_assert!(
                same || (is - nearest).abs() <= nearest.abs() * 1e-13, "{} {}", is, nearest
            );
        }
    }

    #[test]
    fn rounding_goes_away_from_zero() {
        assert_eq!(Function::Round.apply(&[Cell::Float(-2.5)]), Cell::Float(-3.0));
        assert_eq!(Function::Sqrt.apply(&[Cell::String("x".into())]), Cell::Null);
    }
}
