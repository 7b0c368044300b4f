using System.Reflection;
using System.Reflection.Emit;

namespace Moshpit.Tests.Support;

/// <summary>Which types of an assembly use which others of it: in declarations, and in the code of their methods.</summary>
internal sealed class TypeReferences
{
    private const BindingFlags All =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<short, OpCode> OpCodesByValue = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

    private readonly Assembly _assembly;
    private readonly HashSet<(Type From, Type To)> _found = [];

    private TypeReferences(Assembly assembly) => _assembly = assembly;

    /// <summary>Pairs of types that stand by themselves: what is nested, or made by the compiler, counts as the type around it.</summary>
    public static IReadOnlyCollection<(Type From, Type To)> In(Assembly assembly)
    {
        var references = new TypeReferences(assembly);
        foreach (Type type in assembly.GetTypes())
            references.AddAllOf(type);
        return references._found;
    }

    private static Type Outermost(Type type) => type.DeclaringType is { } around ? Outermost(around) : type;

    private void AddAllOf(Type type)
    {
        Add(type, type.BaseType);
        foreach (Type implemented in type.GetInterfaces())
            Add(type, implemented);
        foreach (FieldInfo field in type.GetFields(All))
            Add(type, field.FieldType);
        foreach (MethodBase method in type.GetMethods(All).Concat<MethodBase>(type.GetConstructors(All)))
        {
            Add(type, (method as MethodInfo)?.ReturnType);
            foreach (ParameterInfo parameter in method.GetParameters())
                Add(type, parameter.ParameterType);
            if (method.GetMethodBody() is { } body)
                AddBody(type, method, body);
        }
    }

    private void AddBody(Type type, MethodBase method, MethodBody body)
    {
        foreach (LocalVariableInfo local in body.LocalVariables)
            Add(type, local.LocalType);
        Type[]? typeArguments = type.IsGenericType ? type.GetGenericArguments() : null;
        Type[]? methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        byte[] code = body.GetILAsByteArray()!;
        for (int at = 0; at < code.Length;)
        {
            short value = code[at] == 0xFE ? (short)(0xFE00 | code[at + 1]) : code[at];
            OpCode opCode = OpCodesByValue[value];
            at += opCode.Size;
            if (opCode.OperandType is OperandType.InlineMethod or OperandType.InlineField or OperandType.InlineType
                or OperandType.InlineTok)
                AddMember(type, method.Module.ResolveMember(BitConverter.ToInt32(code, at), typeArguments, methodArguments)!);
            at += LengthOfOperand(opCode, code, at);
        }
    }

    private void AddMember(Type from, MemberInfo member)
    {
        Add(from, member as Type ?? member.DeclaringType);
        if (member is MethodInfo { IsGenericMethod: true } method)
            Array.ForEach(method.GetGenericArguments(), argument => Add(from, argument));
    }

    private void Add(Type from, Type? to)
    {
        if (to is null)
            return;
        if (to.HasElementType)
        {
            Add(from, to.GetElementType());
            return;
        }

        foreach (Type argument in to.GenericTypeArguments)
            Add(from, argument);
        if (to.Assembly == _assembly && !to.IsGenericParameter && to.Namespace is not null && Outermost(from) != Outermost(to))
            _found.Add((Outermost(from), Outermost(to)));
    }

    private static int LengthOfOperand(OpCode opCode, byte[] code, int at) => opCode.OperandType switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        OperandType.InlineSwitch => 4 + 4 * BitConverter.ToInt32(code, at),
        _ => 4,
    };
}
