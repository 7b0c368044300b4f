namespace Moshpit.Server.Api;

/// <summary>What a value of a form is.</summary>
internal enum FormNodeKind : byte
{
    /// <summary>A string, as every value is sent.</summary>
    Text,

    /// <summary>The value of a member that was named by a value; see <see cref="FormTree.MergeText"/>.</summary>
    True,

    Object,

    Array,
}
