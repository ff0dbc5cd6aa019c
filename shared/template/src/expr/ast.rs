//! The syntax tree.

/// A node with the place of its most telling token.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub at: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Ident(String),
    /// `#`, `#index`, `#acc`, and the hidden `#` of `.field`.
    Pointer(String),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    Cond(Box<Node>, Box<Node>, Box<Node>),
    Member {
        base: Box<Node>,
        property: Box<Node>,
        optional: bool,
    },
    /// A run of members with a `?.` in it: nil anywhere before `?.` makes the whole nil.
    Chain(Box<Node>),
    Slice {
        base: Box<Node>,
        from: Option<Box<Node>>,
        to: Option<Box<Node>>,
    },
    /// A call of a name that is not a builtin, of a member (`sprig.upper`, `now().Year`).
    Call {
        callee: Box<Node>,
        args: Vec<Node>,
    },
    Builtin {
        name: String,
        args: Vec<Node>,
    },
    /// The last argument of `filter` and its like.
    Closure(Box<Node>),
    Let {
        name: String,
        value: Box<Node>,
        body: Box<Node>,
    },
    Sequence(Vec<Node>),
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Visits the children, in the order of the text.
    pub fn for_each_child<'a>(&'a self, mut f: impl FnMut(&'a Node)) {
        match &self.kind {
            Kind::Nil
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Str(_)
            | Kind::Ident(_)
            | Kind::Pointer(_) => {}
            Kind::Unary(_, child) | Kind::Chain(child) | Kind::Closure(child) => f(child),
            Kind::Binary(_, a, b) | Kind::Member { base: a, property: b, .. } | Kind::Let { value: a, body: b, .. } => {
                f(a);
                f(b);
            }
            Kind::Cond(a, b, c) => [a, b, c].into_iter().for_each(|n| f(n)),
            Kind::Slice { base, from, to } => {
                f(base);
                [from, to].into_iter().flatten().for_each(|n| f(n));
            }
            Kind::Call { callee, args } => {
                f(callee);
                args.iter().for_each(f);
            }
            Kind::Builtin { args, .. } | Kind::Sequence(args) | Kind::Array(args) => args.iter().for_each(f),
            Kind::Map(pairs) => {
                for (key, value) in pairs {
                    f(key);
                    f(value);
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Minus,
    Plus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessEqual,
    GreaterEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
    Coalesce,
}

impl Binary {
    /// The operator, how tightly it binds (more is tighter), and whether it groups to the right.
    pub fn of(op: &str) -> Option<(Binary, u16, bool)> {
        Some(match op {
            "or" | "||" => (Binary::Or, 10, false),
            "and" | "&&" => (Binary::And, 15, false),
            "==" => (Binary::Equal, 20, false),
            "!=" => (Binary::NotEqual, 20, false),
            "<" => (Binary::Less, 20, false),
            ">" => (Binary::Greater, 20, false),
            "<=" => (Binary::LessEqual, 20, false),
            ">=" => (Binary::GreaterEqual, 20, false),
            "in" => (Binary::In, 20, false),
            "matches" => (Binary::Matches, 20, false),
            "contains" => (Binary::Contains, 20, false),
            "startsWith" => (Binary::StartsWith, 20, false),
            "endsWith" => (Binary::EndsWith, 20, false),
            ".." => (Binary::Range, 25, false),
            "+" => (Binary::Add, 30, false),
            "-" => (Binary::Sub, 30, false),
            "*" => (Binary::Mul, 60, false),
            "/" => (Binary::Div, 60, false),
            "%" => (Binary::Rem, 60, false),
            "**" | "^" => (Binary::Pow, 100, true),
            "??" => (Binary::Coalesce, 500, false),
            _ => return None,
        })
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Binary::Or => "||",
            Binary::And => "&&",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::Greater => ">",
            Binary::LessEqual => "<=",
            Binary::GreaterEqual => ">=",
            Binary::In => "in",
            Binary::Matches => "matches",
            Binary::Contains => "contains",
            Binary::StartsWith => "startsWith",
            Binary::EndsWith => "endsWith",
            Binary::Range => "..",
            Binary::Add => "+",
            Binary::Sub => "-",
            Binary::Mul => "*",
            Binary::Div => "/",
            Binary::Rem => "%",
            Binary::Pow => "**",
            Binary::Coalesce => "??",
        }
    }

    pub fn is_comparison(self) -> bool {
        matches!(self, Binary::Less | Binary::Greater | Binary::LessEqual | Binary::GreaterEqual)
    }

    /// May follow `not`, as in `a not in b`.
    pub fn can_be_negated(self) -> bool {
        matches!(self, Binary::In | Binary::Matches | Binary::Contains | Binary::StartsWith | Binary::EndsWith)
    }
}

impl Unary {
    pub fn of(op: &str) -> Option<(Unary, u16)> {
        Some(match op {
            "not" | "!" => (Unary::Not, 50),
            "-" => (Unary::Minus, 90),
            "+" => (Unary::Plus, 90),
            _ => return None,
        })
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Unary::Not => "!",
            Unary::Minus => "-",
            Unary::Plus => "+",
        }
    }
}
